public import TapCore

/// A condition of a device's status, as in Kubernetes.
public struct ConditionDocument: Hashable, Sendable {
    /// The member `status`.
    public enum State: String, CaseIterable, Hashable, Sendable {
        case holds = "True"
        case doesNotHold = "False"
    }

    /// The member `type`, such as `Ready`.
    public var kind: OpenEnum<Condition.Kind>
    /// Whether the condition holds.
    public var state: OpenEnum<State>
    /// One word in CamelCase for programs.
    public var reason: String
    /// A sentence for people.
    public var message: String
    /// When `state` changed last.
    public var lastTransition: Timestamp

    public init(_ condition: Condition) {
        kind = OpenEnum(condition.kind)
        state = OpenEnum(condition.holds ? .holds : .doesNotHold)
        reason = condition.reason
        message = condition.message
        lastTransition = condition.lastTransition
    }
}

extension ConditionDocument: JSONReadable {
    func encode(to json: inout some JSONSink) {
        json.member("type", kind.rawValue)
        json.member("status", state.rawValue)
        json.member("reason", reason)
        json.member("message", message)
        json.member("lastTransitionTime", lastTransition.text)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        kind = try reader.value("type")
        state = try reader.value("status")
        reason = try reader.value("reason")
        message = try reader.value("message")
        lastTransition = try reader.value("lastTransitionTime")
    }
}
