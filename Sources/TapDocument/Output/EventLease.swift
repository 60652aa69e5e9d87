/// The lease that an event is about, as it was then.
public struct EventLease: Hashable, Sendable {
    /// The lease, with the queues that it had.
    public let lease: LeaseDocument
    /// The raw value of a `LeaseEnd`, or one of another version; `nil` if the lease has not ended.
    public let cause: String?

    public init(_ lease: LeaseDocument, cause: String?) {
        self.lease = lease
        self.cause = cause
    }
}

extension EventLease: AnswerDocument {
    /// The members of the lease, and `cause`.
    public var document: JSONValue {
        guard case .object(var members) = lease.document else { return .null }
        members["cause"] = JSONValue(cause)
        return .object(members)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        self.init(try LeaseDocument(json: json, at: pointer), cause: try reader.optional("cause"))
    }
}
