public import TapCore

/// The plan for a device in a dry run.
public struct PlanDocument: Hashable, Sendable {
    /// Name of the device.
    public var device: DeviceName
    /// In the order of execution.
    public var steps: [PlanStep]
    /// Why no step is possible; `nil` if there is no obstacle.
    public var obstacle: String?
    /// What the steps change for others, such as the MTU of a bridge.
    public var effects: [String]

    public init(device: DeviceName, steps: [Step], obstacle: String?, effects: [String] = []) {
        self.device = device
        self.steps = steps.map(PlanStep.init)
        self.obstacle = obstacle
        self.effects = effects
    }
}

/// A step of a plan as the API shows it, without the internal parts of `Step`.
public struct PlanStep: Hashable, Sendable {
    /// The member `step`, the name of the `Step`.
    public var name: String
    /// An object with the values that the step sets.
    public var arguments: JSONValue

    public init(_ step: Step) {
        name = step.name
        arguments = step.arguments
    }
}

extension PlanDocument: AnswerDocument {
    public var document: JSONValue {
        [
            "device": .string(device.text), "steps": .array(steps.map(\.document)), "obstacle": JSONValue(obstacle),
            "effects": .array(effects.map { .string($0) }),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        device = try reader.value("device")
        steps = try reader.value("steps")
        obstacle = try reader.optional("obstacle")
        effects = try reader.optional("effects") ?? []
    }
}

extension PlanStep: AnswerDocument {
    public var document: JSONValue { ["step": .string(name), "arguments": arguments] }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        name = try reader.value("step")
        arguments = try reader.optional("arguments") ?? [:]
    }
}

extension Step {
    fileprivate var arguments: JSONValue {
        switch self {
        case .create(let flags): flags.document
        case .attach(let flags, let carrier): ["flags": flags.document, "carrier": .bool(carrier)]
        case .setOwner(let user): ["owner": .integer(Int(user))]
        case .setGroup(let group): ["group": .integer(Int(group))]
        case .setVnetHeaderSize(let size): ["vnetHeaderSize": .integer(size.value)]
        case .setOffloads(let offloads): ["offloads": .array(offloads.names.map { .string($0) })]
        case .setQueueDiscipline(let discipline): ["queueDiscipline": .string(discipline.rawValue)]
        case .setLink(let change): .object(change.members)
        case .restorePort(let settings):
            .object(Dictionary(settings.map { ("\($0.kind)", .integer(Int($0.value))) }, uniquingKeysWith: { $1 }))
        case .addAltNames(let names): ["altNames": .array(names.map { .string($0.text) })]
        case .removeAltNames(let names): ["altNames": .array(names.map { .string($0) })]
        case .setIPv6(let settings): ["ipv6": .array(settings.words.map { .string($0) })]
        case .addAddress(let address, let detectsDuplicates):
            ["address": .string(address.description), "duplicateAddressDetection": .bool(detectsDuplicates)]
        case .removeAddress(let address): ["address": .string(address.description)]
        case .setCarrier(let on): ["carrier": .bool(on)]
        case .removeLearnedRoutes, .claim, .persist, .anchor, .release, .delete, .forget: [:]
        }
    }
}

extension CreationFlags {
    fileprivate var document: JSONValue {
        [
            "kind": .string(kind.rawValue), "multiQueue": .bool(multiQueue), "packetInfo": .bool(packetInfo),
            "vnetHeader": .bool(vnetHeader), "napi": .bool(napi), "napiFrags": .bool(napiFrags),
        ]
    }
}
