public import TapCore
public import TapDocument

/// The answer to a request with an `Idempotency-Key`, which a repetition of the request gets again.
public struct PastAnswer: Hashable, Sendable {
    /// The client that sent the request. Keys are separate for each client.
    public let actor: String
    /// The request's `Idempotency-Key`.
    public let key: IdempotencyKey
    /// Distinguishes the request from a different one that has the same key by mistake.
    public let fingerprint: [UInt8]
    /// When the request was answered.
    public let at: Timestamp
    /// The HTTP status.
    public let status: Int
    /// Header fields by name.
    public let headers: [String: String]
    /// The HTTP body.
    public let body: [UInt8]

    public init(
        actor: String, key: IdempotencyKey, fingerprint: [UInt8], at: Timestamp, status: Int,
        headers: [String: String], body: [UInt8]
    ) {
        self.actor = actor
        self.key = key
        self.fingerprint = fingerprint
        self.at = at
        self.status = status
        self.headers = headers
        self.body = body
    }
}
