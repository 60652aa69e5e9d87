public import TapCore

/// A spec and its labels as JSON: what the API shows and the database keeps.
extension DeviceSpec {
    /// Every field, defaults included.
    public var document: JSONValue {
        [
            "kind": .string(kind.rawValue),
            "multiQueue": .bool(queues.isMultiple),
            "queues": .integer(queues.count.value),
            "access": .string(access.rawValue),
            "packetInfo": .bool(packetInfo),
            "vnetHeader": .bool(vnetHeader),
            "vnetHeaderSize": .integer(vnetHeaderSize.value),
            "offloads": .array(offloads.names.map { .string($0) }),
            "sendBufferBytes": JSONValue(sendBuffer?.value),
            "owner": owner?.document ?? .null,
            "group": group?.document ?? .null,
            "napi": .bool(napi),
            "napiFrags": .bool(napiFrags),
            "networkNamespace": JSONValue(networkNamespace?.text),
            "adoption": .string(adoption.rawValue),
            "driftPolicy": .string(driftPolicy.rawValue),
            "link": [
                "up": .bool(link.up),
                "mtu": .integer(link.mtu.value),
                "macAddress": JSONValue(link.macAddress?.description),
                "txQueueLength": .integer(link.transmitQueueLength.value),
                "queueDiscipline": .string(link.queueDiscipline.rawValue),
                "controller": JSONValue(link.controller?.text),
                "alias": JSONValue(link.alias?.text),
                "altNames": .array(link.altNames.map { .string($0.text) }),
                "addresses": .array(link.addresses.map { .string($0.description) }),
                "carrier": .string(link.carrier.rawValue),
            ],
        ]
    }

    /// Reads a document that this type wrote. Whether its owner still exists is not asked again.
    ///
    /// - Throws: `InvalidDocument` when it is not one.
    public init(stored document: JSONValue) throws(InvalidDocument) {
        let reading = SpecReading(document, accounts: AnyAccount())
        guard let spec = reading.spec else { throw InvalidDocument(reading.issues) }
        self = spec
    }
}

extension Labels {
    public var document: JSONValue { .object(values.mapValues { .string($0) }) }

    /// Reads a document that this type wrote.
    ///
    /// - Throws: `InvalidDocument` when it is not one.
    public init(stored document: JSONValue) throws(InvalidDocument) {
        let reading = Labels.reading(document, at: "")
        guard reading.issues.isEmpty else { throw InvalidDocument(reading.issues) }
        self = reading.value
    }
}

extension Principal {
    fileprivate var document: JSONValue {
        switch self {
        case .number(let id): .integer(Int(id))
        case .name(let name): .string(name)
        }
    }
}

/// Believes that every account exists.
private struct AnyAccount: Accounts {
    func userNumber(_ principal: Principal) -> UInt32? { 0 }
    func groupNumber(_ principal: Principal) -> UInt32? { 0 }
}
