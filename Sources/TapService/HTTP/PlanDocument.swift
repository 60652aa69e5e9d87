internal import TapCore
internal import TapDocument

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
        case .setLink(let change): change.document
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
    /// Never empty: a step whose arguments say nothing would hide what it does.
    fileprivate var document: JSONValue {
        .object(Dictionary(map(\.member), uniquingKeysWith: { _, last in last }))
    }
}

extension LinkAttribute {
    fileprivate var member: (String, JSONValue) {
        switch self {
        case .name(let name): ("name", .string(name.text))
        case .mtu(let mtu): ("mtu", .integer(mtu.value))
        case .macAddress(let address): ("macAddress", .string(address.description))
        case .transmitQueueLength(let length): ("txQueueLength", .integer(length.value))
        case .alias(let alias): ("alias", JSONValue(alias?.text))
        case .controller(.join(let name, _)): ("controller", .string(name.text))
        case .controller(.leave): ("controller", .null)
        case .promoteSecondaries: ("promoteSecondaries", .bool(true))
        case .up(let up): ("up", .bool(up))
        }
    }
}
