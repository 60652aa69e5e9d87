/// Limits of what clients may use. Each name ends with the unit and, for an upper limit, `Max`.
public struct HTTPLimits: Sendable {
    /// A larger body is refused with 413; before it is read, if `Content-Length` gives its length.
    public var bodyBytesMax = 8 << 20
    /// Of the bodies of all requests together, from their first bytes to their responses; above it, 503.
    public var bodiesBytesMax = 64 << 20
    /// How much of a refused body is read and discarded, so that the client sees the response; beyond it, the
    /// connection ends.
    public var refusedBodyBytesMax = 16 << 20
    /// Of the request line and the header fields together.
    public var headerBytesMax = 32 << 10
    /// Header fields of a request; above it, 431.
    public var headersMax = 64
    /// Query parameters of a request; above it, 400.
    public var queryParametersMax = 32
    /// Open connections of all clients together, but for `reservedConnectionsMax`. At each of these limits, a silent
    /// connection makes way for a new one, and only if there is none, the new one is refused.
    public var connectionsMax = 512
    /// Of clients that have not authenticated; the other places are kept for those that have.
    public var unauthenticatedConnectionsMax = 384
    /// Of one user, one IPv4 address, or one IPv6 network of 64 bits: half of `connectionsMax`. It does not apply to
    /// root and the daemon's own user, which could do worse.
    public var connectionsOfOneMax = 256
    /// Further connections for root and the daemon's own user, so that an operator can connect while all others are in
    /// use.
    public var reservedConnectionsMax = 16
    /// From the connection, or the previous response, to the end of the headers: it also ends idle connections.
    public var headerSecondsMax = 30
    /// From the headers to the end of the body.
    public var bodySecondsMax = 30
    /// Replaces both of these while half of the connections are in use, so that idle clients do not exclude others.
    public var crowdedSecondsMax = 2
    /// From the time a response is ready until its last byte is sent.
    public var responseSecondsMax = 60
    /// How long the client of a stream may read nothing while there are bytes to send.
    public var streamStallSecondsMax = 15
    /// Replaces `responseSecondsMax` while half of the connections are in use.
    public var crowdedResponseSecondsMax = 10
    /// How long `HTTPServer.stop` waits until clients have read the last responses.
    public var stopMillisecondsMax = 500
    /// Threads that serve connections; the library needs two or more.
    public var threads = 2

    public init() {}
}
