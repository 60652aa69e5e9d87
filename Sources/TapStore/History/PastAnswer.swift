public import TapCore
public import TapDocument

/// What a request was answered, for who repeats it (`Idempotency-Key`).
public struct PastAnswer: Hashable, Sendable {
    /// Whose request it was: keys of different people do not meet.
    public let actor: String
    public let key: IdempotencyKey
    /// Tells the request from another one that has the same key by mistake.
    public let fingerprint: [UInt8]
    public let at: Timestamp
    public let status: Int
    /// Header fields by name.
    public let headers: [String: String]
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
