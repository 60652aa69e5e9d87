public import Logging
public import TapCore
public import TapHTTP
public import TapStore
public import TapSystem

/// The daemon without its sockets and its kernel: those come from outside.
public final class Service: Sendable {
    /// Every route, for the API's own listeners.
    public let api: any HTTPHandler
    /// Health and metrics alone, for a listener without a token.
    public let health: any HTTPHandler

    private let gate: Gate
    private let watchers: Watchers
    private let worker: Worker
    private let store: Store
    private let board: Board
    private let writes: WriteQueue
    /// Where requests wait for what takes a while to read: history, backups, large documents.
    private let reader: SerialThread<@Sendable () -> Void>
    private let scrapes: Scrapes

    /// Requests that wait for that.
    static let readsMax = 256

    /// - Parameters:
    ///   - kernel: Handed over to the worker's thread; nobody else may use it afterwards.
    ///   - store: The database, opened and brought up to date.
    ///   - accounts: Where owners and groups are looked up.
    ///   - access: Who may what, until `replaceAccess`.
    ///   - log: Where events and failures go.
    ///   - onReady: Called once, when the kernel has been looked at in full and is as wanted, where it can be.
    /// - Throws: `StoreError` when the database cannot be read.
    public init(
        kernel: some Kernel, store: Store, accounts: some Accounts, access: AccessPolicy, log: Logger,
        onReady: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        self.store = store
        gate = Gate(access, daemonUser: kernel.daemonUser)
        let metrics = Metrics()
        let watchers = Watchers(gauge: metrics.watchers)
        self.watchers = watchers
        let board = Board { watchers.wake() }
        self.board = board
        let inbox = WorkerInbox(waker: kernel.waker)
        let (devices, revision) = try store.load()
        board.load(devices, revision: revision)
        writes = WriteQueue(store: store, board: board, inbox: inbox, metrics: metrics)
        reader = SerialThread("tapster-reader", waitingMax: Self.readsMax) { for read in $0 { read() } }
        worker = Worker(
            kernel: kernel, store: store, board: board, inbox: inbox, accounts: accounts, metrics: metrics, log: log,
            onReady: onReady)
        let deviceWrites = DeviceWrites(
            board: board, writes: writes, reader: DeviceReader(accounts: accounts, features: kernel.features))
        let deviceRoutes = DeviceRoutes(board: board, writes: deviceWrites)
        let queueRoutes = QueueRoutes(board: board, writes: deviceWrites, inbox: inbox)
        let leaseRoutes = LeaseRoutes(board: board, inbox: inbox, writes: writes)
        let trials = try Trials(store: store, writes: writes)
        let answers = ApplyAnswers(board: board, apply: Apply(inbox: inbox, trials: trials))
        let applyRoutes = ApplyRoutes(reader: reader, writes: deviceWrites, answers: answers, trials: trials)
        let revisionRoutes = RevisionRoutes(store: store, reader: reader, writes: deviceWrites, answers: answers)
        let backupRoutes = BackupRoutes(store: store, reader: reader, writes: deviceWrites)
        let kernelRoutes = KernelRoutes(board: board, inbox: inbox, writes: deviceWrites)
        let watchRoutes = WatchRoutes(board: board, watchers: watchers, gate: gate, metrics: metrics)
        let healthState = Health(board: board, store: store, inbox: inbox)
        scrapes = Scrapes(health: healthState, metrics: metrics)
        let operatorRoutes = OperatorRoutes(
            health: healthState, store: store, scrapes: scrapes, reader: reader, metrics: metrics)
        let refusals = RefusalLog(log)
        api = RoutedHandler(
            router: Router(
                routes: deviceRoutes.routes + queueRoutes.routes + leaseRoutes.routes + applyRoutes.routes
                    + revisionRoutes.routes
                    + backupRoutes.routes
                    + kernelRoutes.routes
                    + watchRoutes.routes
                    + operatorRoutes.routes),
            gate: gate, door: .known, metrics: metrics, refusals: refusals)
        health = RoutedHandler(
            router: Router(routes: operatorRoutes.healthRoutes(metrics: .open)), gate: gate, door: .open,
            metrics: metrics, refusals: refusals)
    }

    /// From the next request on. What is under way goes on, but for a watch whose owner may not watch any more.
    public func replaceAccess(_ policy: AccessPolicy) {
        gate.replace(policy)
        watchers.checkAccess()
    }

    /// Starts the threads.
    ///
    /// - Throws: `ThreadFailure` when the process may have no more threads: then it must end.
    public func start() throws(ThreadFailure) {
        try writes.start()
        try reader.start()
        try scrapes.start()
        try worker.start()
    }

    /// Finishes and answers what waits for the database; no more is taken. The first step of a stop.
    public func finishWrites() {
        store.stopWaiting()
        // What has been read there is written then.
        reader.stop()
        writes.stop()
        board.endWaits()
        scrapes.stop()
    }

    /// Finishes the pass under way. The kernel stays as it is: traffic goes on.
    public func stop() {
        worker.stop()
    }
}

/// Leads a request to its route.
struct RoutedHandler: HTTPHandler {
    let router: Router
    let gate: Gate
    let door: Gate.Door
    let metrics: Metrics
    let refusals: RefusalLog

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        do throws(Problem) {
            let identity = try gate.admit(request.head, from: exchange.origin, by: door)
            switch router.match(method: request.head.method, path: request.head.segments) {
            case .route(let route):
                // Not before it is read: who still sends might not see the answer. It is not looked into.
                guard request.body.count <= route.bodyBytesMax else {
                    throw .bodyTooLarge(bytesMax: route.bodyBytesMax)
                }
                let call = Call(
                    request: request, exchange: exchange, route: route.pattern, places: route.places,
                    metrics: metrics, identity: identity)
                do throws(Problem) { try follow(route, call) } catch { call.fail(error) }
            case .otherMethods(let allowed):
                throw .methodNotAllowed(method: request.head.method, allowed: allowed)
            case .options(let allowed):
                let call = Call(
                    request: request, exchange: exchange, route: "other", places: [:], metrics: metrics,
                    identity: identity)
                call.answer(HTTPResponse(status: 204, headers: [("Allow", allowed.joined(separator: ", "))]))
            case .none:
                throw router.notFound(request.head.path)
            }
        } catch {
            exchange.respond(refusal(request.head, error, from: exchange.origin))
        }
    }

    private func follow(_ route: Route, _ call: Call) throws(Problem) {
        guard call.identity.allows(route.permission) else { throw .forbidden(route.permission, call.identity) }
        let query = call.request.head.query
        if let unknown = query.keys.first(where: { !route.parameters.contains($0) }) {
            throw .invalidParameter(
                name: unknown,
                detail: "is not understood here; known: "
                    + (route.parameters.isEmpty ? "none" : route.parameters.sorted().joined(separator: ", ")))
        }
        _ = try call.wait()
        if case .json = route.answers, let accept = call.request.head.list("accept"),
            AcceptHeader(accept).quality(of: "application/json") == 0
        {
            throw .notAcceptable(found: accept, offered: ["application/json"])
        }
        try route.handler(call)
    }

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        metrics.rejected.increment([rejection.rawValue])
        let identifier = request?.head.identifier ?? HTTPRequest.freshIdentifier()
        var response = Problem.rejected(rejection, limits: limits)
            .response(path: request?.head.path ?? "", requestIdentifier: identifier)
        response.headers.append(("X-Request-Id", identifier))
        return response
    }

    func wasCutOff(_ reason: HTTPCutOff) { metrics.rejected.increment([reason.rawValue]) }

    /// Unknown paths and methods, and those who are not let in, share one label, so that strangers cannot make labels.
    private func refusal(_ head: RequestHead, _ problem: Problem, from origin: HTTPOrigin) -> HTTPResponse {
        if let reason = problem.rejection {
            metrics.rejected.increment([reason])
            refusals.tell(Identity.source(of: origin), problem.words.code, problem.words.detail)
        }
        var response = problem.response(path: head.path, requestIdentifier: head.identifier)
        metrics.requests.increment(method: "other", route: "other", code: response.status)
        response.headers.append(("X-Request-Id", head.identifier))
        return response
    }

    /// Over TCP a stranger is one at once. And nobody has a body held that he may not send, or nobody would read: all
    /// bodies together are bounded, and he would keep others' out.
    func turnAway(_ head: RequestHead, from origin: HTTPOrigin) -> HTTPResponse? {
        let hasBody = head.header("transfer-encoding") != nil || head.header("content-length") ?? "0" != "0"
        if case .local = origin, !hasBody { return nil }
        do throws(Problem) {
            let identity = try gate.admit(head, from: origin, by: door)
            guard hasBody else { return nil }
            switch router.match(method: head.method, path: head.segments) {
            case .route(let route):
                guard identity.allows(route.permission) else { throw .forbidden(route.permission, identity) }
                guard route.method != "GET" else { throw .bodyTooLarge(bytesMax: 0) }
            case .otherMethods(let allowed): throw .methodNotAllowed(method: head.method, allowed: allowed)
            case .options: throw .bodyTooLarge(bytesMax: 0)
            case .none: throw router.notFound(head.path)
            }
            return nil
        } catch {
            return refusal(head, error, from: origin)
        }
    }
}
