internal import TapCore
internal import TapHTTP
internal import TapEngine

/// Authenticates each request and calls the handler of its route.
struct RoutedHandler: HTTPHandler {
    let router: Router
    let authenticator: Authenticator
    let mode: Authenticator.Mode
    let metrics: Metrics
    let refusals: RefusalLog

    init(
        router: Router, authenticator: Authenticator, mode: Authenticator.Mode, metrics: Metrics, refusals: RefusalLog
    ) {
        self.router = router
        self.authenticator = authenticator
        self.mode = mode
        self.metrics = metrics
        self.refusals = refusals
        metrics.requests.add(router.routes.map(\.responses))
    }

    func forOneThread() -> any HTTPHandler {
        RoutedHandler(
            router: router.copy(), authenticator: authenticator, mode: mode, metrics: metrics, refusals: refusals)
    }

    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        do throws(Problem) {
            let identity = try identify(request.head, exchange)
            switch router.match(method: request.head.method, path: request.head.segments) {
            case .route(let route):
                // The body was read in full, since a client that still sends may miss the answer; it is not parsed.
                guard request.body.count <= route.bodyBytesMax else {
                    throw .bodyTooLarge(bytesMax: route.bodyBytesMax)
                }
                let call = Call(
                    request: request, exchange: exchange, route: route, identity: identity)
                do throws(Problem) { try follow(route, call) } catch { call.fail(error) }
            case .otherMethods(let allowed):
                throw .methodNotAllowed(method: request.head.method, allowed: allowed)
            case .options(let allowed):
                var response = HTTPResponse(status: 204, headers: ["Allow": allowed.joined(separator: ", ")])
                response.requestIdentifier = request.head.identifier
                metrics.requests.other.count(
                    method: request.head.method, code: response.status,
                    duration: request.head.received.duration(to: .now))
                exchange.respond(response)
            case .none:
                throw router.notFound(request.head.path)
            }
        } catch {
            exchange.respond(refusal(request.head, error, from: exchange.origin))
        }
    }

    private func identify(_ head: RequestHead, _ exchange: HTTPExchange) throws(Problem) -> Identity {
        let identity = try allowing { () throws(AccessRefusal) in
            try authenticator.authenticate(head, from: exchange.origin, in: mode)
        }
        if identity.permissions != .guest { exchange.markAuthenticated() }
        return identity
    }

    private func follow(_ route: Route, _ call: Call) throws(Problem) {
        guard call.identity.allows(route.permission) else { throw .denied(.forbidden(route.permission, call.identity)) }
        let query = call.request.head.query
        if !query.isEmpty {
            if let unknown = query.keys.first(where: { !route.parameters.contains($0) }) {
                throw .invalidParameter(
                    name: unknown,
                    detail: "is not a parameter of this request; known: "
                        + (route.parameters.isEmpty ? "none" : route.parameters.sorted().joined(separator: ", ")))
            }
            _ = try call.wait()
        }
        if case .json = route.answers, let accept = call.request.head.list("accept"),
            AcceptHeader(accept).quality(of: "application/json") == 0
        {
            throw .notAcceptable(found: accept, offered: ["application/json"])
        }
        try route.handler(call)
    }

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        metrics.rejected.increment([rejection.rawValue])
        let identifier = request?.head.identifier ?? HTTPRequest.newIdentifier()
        var response = Problem.rejected(rejection, limits: limits)
            .response(path: request?.head.path ?? "", requestIdentifier: identifier)
        response.requestIdentifier = identifier
        return response
    }

    func wasCutOff(_ reason: HTTPCutOff) { metrics.rejected.increment([reason.rawValue]) }

    /// Unknown paths and methods and rejected callers share the label `other`, so that clients cannot create labels.
    private func refusal(_ head: RequestHead, _ problem: Problem, from origin: HTTPOrigin) -> HTTPResponse {
        if let reason = problem.rejection {
            metrics.rejected.increment([reason])
            refusals.record(Identity.source(of: origin), problem.words.code, problem.words.detail)
        }
        var response = problem.response(path: head.path, requestIdentifier: head.identifier)
        metrics.requests.other.count(method: "other", code: response.status, duration: nil)
        response.requestIdentifier = head.identifier
        return response
    }

    /// Authorizes before the body is read: always over TCP, on the Unix socket only if a body follows. Buffered bodies
    /// share one limit, so a client that may not send a body, or sends one to a route without, must not use it up.
    func rejectEarly(_ head: RequestHead, _ exchange: HTTPExchange) -> HTTPResponse? {
        let hasBody = head.header("transfer-encoding") != nil || head.header("content-length") ?? "0" != "0"
        if case .local = exchange.origin, !hasBody { return nil }
        do throws(Problem) {
            let identity = try identify(head, exchange)
            guard hasBody else { return nil }
            switch router.match(method: head.method, path: head.segments) {
            case .route(let route):
                guard identity.allows(route.permission) else { throw .denied(.forbidden(route.permission, identity)) }
                guard route.method != "GET" else { throw .bodyTooLarge(bytesMax: 0) }
            case .otherMethods(let allowed): throw .methodNotAllowed(method: head.method, allowed: allowed)
            case .options: throw .bodyTooLarge(bytesMax: 0)
            case .none: throw router.notFound(head.path)
            }
            return nil
        } catch {
            return refusal(head, error, from: exchange.origin)
        }
    }
}
