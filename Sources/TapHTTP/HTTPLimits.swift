/// What a client may take at most. Every limit has a name, and its unit comes last.
public struct HTTPLimits: Sendable {
    /// A body above it is refused with 413, before it is read where its length was told.
    public var bodyBytesMax = 8 << 20
    /// Of all requests together, from their bodies' first bytes to their answers; above it, 503.
    public var bodiesBytesMax = 64 << 20
    /// What is read and thrown away of a refused body, so that the client sees the answer; beyond it, the connection
    /// ends.
    public var refusedBodyBytesMax = 16 << 20
    /// Request line and headers.
    public var headerBytesMax = 32 << 10
    public var headersMax = 64
    public var queryParametersMax = 32
    public var connectionsMax = 512
    /// Of one user, or of one address of the network: half of all, so that nobody keeps everybody else out. Root and
    /// the daemon's own user have no such limit, since who is root can do worse.
    public var connectionsOfOneMax = 256
    /// For root and the daemon's own user alone, when all others are taken: for who puts an end to it.
    public var reservedConnectionsMax = 16
    /// From the connection, or the last answer, to the end of the headers: the time of an idle connection too.
    public var headerSecondsMax = 30
    /// From the headers to the end of the body.
    public var bodySecondsMax = 30
    /// Either of these times while half of the connections are taken: who holds one and asks nothing must not keep
    /// others out.
    public var crowdedSecondsMax = 2
    /// From the answer to its last byte.
    public var responseSecondsMax = 60
    /// How long the client of a stream may take nothing while there is something to say.
    public var streamStallSecondsMax = 15
    /// The same while half of the connections are taken.
    public var crowdedResponseSecondsMax = 10
    /// How long a stop waits for the last answers to be read.
    public var stopMillisecondsMax = 500
    /// Threads that serve connections; the library needs two or more.
    public var threads = 2

    public init() {}
}
