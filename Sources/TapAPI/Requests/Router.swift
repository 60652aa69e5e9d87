internal import TapHTTP

/// Finds the route of a request.
struct Router: Sendable {
    enum Match {
        case route(Route)
        /// The path exists for other methods.
        case otherMethods([String])
        /// `OPTIONS`, with the allowed methods.
        case options([String])
        case none
    }

    /// If there are more routes, a 404 does not list them, but refers to the OpenAPI document.
    private static let namedMax = 8

    let routes: [Route]
    private let makeRoutes: @Sendable () -> [Route]

    /// - Parameter routes: Evaluated for each copy, so that a copy has routes of its own.
    init(routes: @autoclosure @escaping @Sendable () -> [Route]) {
        makeRoutes = routes
        self.routes = routes()
    }

    func copy() -> Router { Router(routes: makeRoutes()) }

    func notFound(_ path: String) -> Problem {
        .routeNotFound(path: path, known: routes.count <= Self.namedMax ? routes.map(\.pattern) : [])
    }

    func match(method: String, path: [String]) -> Match {
        // HEAD is GET without the body, which the HTTP library omits.
        let method = method == "HEAD" ? "GET" : method
        var others: [String] = []
        for route in routes where route.matches(path) {
            if route.method == method { return .route(route) }
            others.append(route.method)
        }
        // `OPTIONS *` applies to the whole server (RFC 9110, section 9.3.7).
        if method == "OPTIONS", path == ["*"] { others = Set(routes.map(\.method)).sorted() }
        guard !others.isEmpty else { return .none }
        if others.contains("GET") { others.append("HEAD") }
        others.append("OPTIONS")
        return method == "OPTIONS" ? .options(others.sorted()) : .otherMethods(others.sorted())
    }
}
