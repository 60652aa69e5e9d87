public import TapCore

/// The answer to a request about many devices: POST /v1/apply, and a rollback.
public struct ApplyDocument: Hashable, Sendable {
    /// `nil` for a dry run.
    public var revision: Int?
    /// What becomes of each device that the request names, and of those that it prunes.
    public var changes: [ChangedDevice]
    /// What a dry run would do, without the devices about which nothing is to be done; `nil` for a change.
    public var plan: [PlanDocument]?
    /// When the change is rolled back unless it is confirmed; `nil` for one that is not on trial.
    public var confirmBy: Timestamp?
    /// Devices that were not as stated when the time to wait was over, the first of them; `nil` where all were, or none
    /// was waited for.
    public var unreached: [DeviceName]?

    /// - Parameters:
    ///   - revision: What the change made; `nil` for a dry run.
    ///   - changes: What becomes of each device.
    ///   - plan: Of a dry run.
    ///   - confirmBy: When a change on trial is rolled back.
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
