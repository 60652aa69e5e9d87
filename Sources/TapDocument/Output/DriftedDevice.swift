public import TapCore

/// A device with drift; an item of GET /v1/drift.
public struct DriftedDevice: Hashable, Sendable {
    /// Name of the device.
    public var device: DeviceName
    /// The policy in its spec.
    public var driftPolicy: OpenEnum<DriftPolicy>
    /// Reason of the condition `Ready`; `nil` before the first comparison.
    public var reason: String?
    /// The differences.
    public var drift: [DriftDocument]
    /// The steps that would repair the drift.
    public var plan: [PlanStep]

    public init(_ device: DeviceName, _ driftPolicy: DriftPolicy, _ status: DeviceStatus) {
        self.device = device
        self.driftPolicy = OpenEnum(driftPolicy)
        reason = status[.ready]?.reason
        drift = status.drift.map(DriftDocument.init)
        plan = status.plannedSteps.map(PlanStep.init)
    }
}

extension DriftedDevice: AnswerDocument {
    public var document: JSONValue {
        [
            "device": .string(device.text), "driftPolicy": .string(driftPolicy.rawValue), "reason": JSONValue(reason),
            "drift": .array(drift.map(\.document)), "plan": .array(plan.map(\.document)),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        device = try reader.value("device")
        driftPolicy = try reader.value("driftPolicy")
        reason = try reader.optional("reason")
        drift = try reader.value("drift")
        plan = try reader.list("plan")
    }
}
