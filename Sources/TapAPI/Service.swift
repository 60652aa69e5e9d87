public import Logging
public import TapCore
public import TapHTTP
public import TapStore
public import TapSystem
package import TapEngine

/// The daemon without listeners, kernel and database, which the caller supplies.
public final class Service: Sendable {
    /// All routes, for authenticated listeners.
    public let api: any HTTPHandler
    /// Health and metrics only, for a listener without authentication.
    public let health: any HTTPHandler

    /// The daemon's functions without HTTP.
    package let engine: Engine

    private let authenticator: Authenticator
    private let watchers: Watchers
    private let scrapes: Scrapes

    /// - Parameters:
    ///   - kernel: Used by the worker's thread only, from this call on.
    ///   - store: The database, opened and migrated.
    ///   - accounts: Looks up owners and groups.
    ///   - access: The access rules until `replaceAccess`.
    ///   - log: Receives events and failures. It must not block.
    ///   - droppedLogLines: How many log lines were dropped since the start, for the metrics.
    ///   - onReady: Called once, after the first full pass: the kernel was read, and made to match the specs as far as
    ///     possible.
    /// - Throws: `StoreError` if the database cannot be read.
    public init(
        kernel: some Kernel, store: Store, accounts: some Accounts, access: AccessPolicy, log: Logger,
        droppedLogLines: @escaping @Sendable () -> UInt64 = { 0 }, onReady: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        authenticator = Authenticator(access, daemonUser: kernel.daemonUser)
        let engineMetrics = EngineMetrics()
        let metrics = Metrics(engine: engineMetrics, droppedLogLines: droppedLogLines)
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

    /// Replaces the access rules for later requests. Requests in progress continue, but watches whose owner lost the
    /// permission end.
    public func replaceAccess(_ policy: AccessPolicy) {
        authenticator.replace(policy)
        watchers.checkAccess()
    }

    /// Starts the threads.
    ///
    /// - Throws: `ThreadFailure` if a thread cannot be created; the process must end then.
    public func start() throws(ThreadFailure) {
        try scrapes.start()
        try engine.start()
    }

    /// First step of a stop: finishes and answers the waiting writes, and accepts no more.
    public func finishWrites() {
        engine.finishWrites()
        scrapes.stop()
    }

    /// Finishes the current pass and stops the worker. Devices stay in the kernel: traffic continues.
    public func stop() { engine.stop() }
}
