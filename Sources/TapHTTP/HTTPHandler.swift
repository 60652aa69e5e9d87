/// Handles the requests of a server.
public protocol HTTPHandler: Sendable {
    /// Called on a connection's thread: responds at once, or keeps `exchange` and responds later from any thread.
    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange)

    /// The response to a request that the server rejects.
    ///
    /// `request` has no body; it is `nil` if the request's head could not be parsed.
    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse

    /// Called after the headers; a returned response rejects the request before its body is buffered. `exchange` must
    /// not be answered here.
    ///
    /// - Returns: The rejection; `nil` to accept the request.
    func rejectEarly(_ head: RequestHead, _ exchange: HTTPExchange) -> HTTPResponse?

    /// A handler with the same effects, for the connections of one thread. Threads that use the same objects wait for
    /// one another, since each counts its references to them.
    func forOneThread() -> any HTTPHandler

    /// Called when a connection was cut off, with the reason, on the deadline thread or that of another connection.
    func wasCutOff(_ reason: HTTPCutOff)
}

extension HTTPHandler {
    public func forOneThread() -> any HTTPHandler { self }

    /// Accepts all requests.
    public func rejectEarly(_ head: RequestHead, _ exchange: HTTPExchange) -> HTTPResponse? { nil }
}
