public import TapCore

/// The answer to POST /v1/apply and to a rollback.
public struct ApplyDocument: Hashable, Sendable {
    /// The revision that the change created; `nil` for a dry run.
    public var revision: Int?
    /// The change of each device that the request names or prunes.
    public var changes: [ChangedDevice]
    /// The plans of a dry run, without devices that need no steps; `nil` if the request was not a dry run.
    public var plan: [PlanDocument]?
    /// When the change is rolled back unless it is confirmed; `nil` if it needs no confirmation.
    public var confirmBy: Timestamp?
    /// Devices that did not match their spec at the end of the wait, possibly only the first; `nil` if all did, or the
    /// request did not wait.
    public var unreached: [DeviceName]?

    /// - Parameters:
    ///   - revision: The revision that the change created; `nil` for a dry run.
    ///   - changes: The change of each device.
    ///   - plan: The plans of a dry run.
    ///   - confirmBy: When the change is rolled back unless it is confirmed.
    public init(
        revision: Int?, changes: [ChangedDevice], plan: [PlanDocument]? = nil, confirmBy: Timestamp? = nil
    ) {
        self.revision = revision
        self.changes = changes
        self.plan = plan
        self.confirmBy = confirmBy
    }
}

extension ApplyDocument: AnswerDocument {
    /// The member `unreached` is omitted if it is `nil`.
    public var document: JSONValue {
        var members: [String: JSONValue] = [
            "revision": JSONValue(revision.map { String($0) }), "changes": .array(changes.map(\.document)),
            "plan": plan.map { .array($0.map(\.document)) } ?? .null, "confirmBy": JSONValue(confirmBy?.text),
        ]
        if let unreached { members["unreached"] = .array(unreached.map { .string($0.text) }) }
        return .object(members)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        revision = try reader.optionalRevision("revision")
        changes = try reader.value("changes")
        plan = try reader.optional("plan")
        confirmBy = try reader.optional("confirmBy")
        unreached = try reader.optional("unreached")
    }
}
