/// Handles the requests of a server.
public protocol HTTPHandler: Sendable {
    /// Called on a connection's thread: responds at once, or keeps `exchange` and responds later from any thread.
    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange)

    /// The response to a request that the server rejects.
    ///
    /// `request` has no body; it is `nil` if the request's head could not be parsed.
    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse

    /// Called after the headers; a returned response rejects the request before its body is buffered.
    ///
    /// - Returns: The rejection; `nil` to accept the request.
    func rejectEarly(_ head: RequestHead, from origin: HTTPOrigin) -> HTTPResponse?

    /// Called when a slow connection was cut off, with the reason, on the deadline thread.
    func wasCutOff(_ reason: HTTPCutOff)
}

extension HTTPHandler {
    /// Accepts all requests.
    public func rejectEarly(_ head: RequestHead, from origin: HTTPOrigin) -> HTTPResponse? { nil }
}
