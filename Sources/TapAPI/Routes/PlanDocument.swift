internal import TapCore
internal import TapDocument
internal import TapEngine

/// Plans as JSON, for dry runs and for drift that is left alone.
extension DevicePlan {
    var document: JSONValue {
        [
            "device": .string(name.text), "steps": .array(steps.map(\.document)), "obstacle": JSONValue(obstacle),
        ]
    }
}

extension Step {
    /// The step's name, and what it is done with.
    var document: JSONValue { ["step": .string(name), "arguments": arguments] }

    private var arguments: JSONValue {
        switch self {
        case .create(let flags): flags.document
        case .attach(let flags, let carrier): ["flags": flags.document, "carrier": .bool(carrier)]
        case .setOwner(let user): ["owner": .integer(Int(user))]
        case .setGroup(let group): ["group": .integer(Int(group))]
        case .setVnetHeaderSize(let size): ["vnetHeaderSize": .integer(size.value)]
        case .setOffloads(let offloads): ["offloads": .array(offloads.names.map { .string($0) })]
        case .setQueueDiscipline(let discipline): ["queueDiscipline": .string(discipline.rawValue)]
        case .setLink(let change): .object(change.members)
        case .addAltNames(let names): ["altNames": .array(names.map { .string($0.text) })]
        case .removeAltNames(let names): ["altNames": .array(names.map { .string($0) })]
        case .addAddress(let address), .removeAddress(let address): ["address": .string(address.description)]
        case .setCarrier(let on): ["carrier": .bool(on)]
        case .claim, .persist, .anchor, .release, .delete, .forget: [:]
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

extension LinkChange {
    /// By name. That of a step is never empty: arguments that say nothing would hide what it does.
    var members: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        for attribute in self {
            let (field, value) = attribute.setting
            members[field?.key ?? "promoteSecondaries"] = value.document
        }
        return members
    }
}
