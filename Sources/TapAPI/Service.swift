public import Logging
public import TapCore
public import TapHTTP
public import TapStore
public import TapSystem
package import TapEngine

/// The daemon without its sockets and its kernel: those come from outside.
public final class Service: Sendable {
    /// Every route, for the API's own listeners.
    public let api: any HTTPHandler
    /// Health and metrics alone, for a listener without a token.
    public let health: any HTTPHandler

    /// What the daemon does, without a protocol.
    package let engine: Engine

    private let authenticator: Authenticator
    private let watchers: Watchers
    private let scrapes: Scrapes

    /// - Parameters:
    ///   - kernel: Belongs to the worker's thread from here on.
    ///   - store: The database, opened and migrated.
    ///   - accounts: Where owners and groups are looked up.
    ///   - access: Who may what, until `replaceAccess`.
    ///   - log: Where events and failures go.
    ///   - onReady: Called once, when the kernel was read in full and matches what is wanted, where it can.
    /// - Throws: `StoreError` when the database cannot be read.
    public init(
        kernel: some Kernel, store: Store, accounts: some Accounts, access: AccessPolicy, log: Logger,
        onReady: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        authenticator = Authenticator(access, daemonUser: kernel.daemonUser)
        let engineMetrics = EngineMetrics()
        let metrics = Metrics(engine: engineMetrics)
        let watchers = Watchers(gauge: metrics.watchers)
        self.watchers = watchers
        engine = try Engine(
            kernel: kernel, store: store, accounts: accounts, metrics: engineMetrics, log: log,
            onChange: { watchers.wake() }, onReady: onReady)
        scrapes = Scrapes(engine, metrics: metrics)
        let refusals = RefusalLog(log)
        let routes = AllRoutes(
            engine: engine, authenticator: authenticator, watchers: watchers, scrapes: scrapes, metrics: metrics)
        api = RoutedHandler(
            router: Router(routes: routes.api), authenticator: authenticator, mode: .authenticated, metrics: metrics,
            refusals: refusals)
        health = RoutedHandler(
            router: Router(routes: routes.health), authenticator: authenticator, mode: .public,
            metrics: metrics, refusals: refusals)
    }

    /// From the next request on. What is under way goes on, but for a watch whose owner may not watch any more.
    public func replaceAccess(_ policy: AccessPolicy) {
        authenticator.replace(policy)
        watchers.checkAccess()
    }

    /// Starts the threads.
    ///
    /// - Throws: `ThreadFailure` when the process may have no more threads: then it must end.
    public func start() throws(ThreadFailure) {
        try scrapes.start()
        try engine.start()
    }

    /// Finishes and answers what waits for the database; no more is accepted. The first step of a stop.
    public func finishWrites() {
        engine.finishWrites()
        scrapes.stop()
    }

    /// Finishes the pass under way. The kernel stays as it is: traffic goes on.
    public func stop() { engine.stop() }
}
