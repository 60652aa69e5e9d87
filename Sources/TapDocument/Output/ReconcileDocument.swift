/// The answer to POST /v1/reconcile.
public struct ReconcileDocument: Hashable, Sendable {
    /// Whether the kernel was compared with all specs before the answer; `false` if the request did not wait for that.
    public var looked: Bool

    public init(looked: Bool) {
        self.looked = looked
    }
}

extension ReconcileDocument: AnswerDocument {
    public var document: JSONValue { ["looked": .bool(looked)] }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        looked = try MemberReader(json, at: pointer).value("looked")
    }
}
