public import TapCore

/// A spec as JSON, as shown by the API and stored in the database.
extension DeviceSpec {
    /// The JSON text for the database.
    public var text: String { String(decoding: JSONWriter.object(encode), as: UTF8.self) }

    /// An object with every field, including defaults.
    public var document: JSONValue { JSONMembers.object(encode) }

    /// Adds every field as a member, including defaults.
    public func encode(to json: inout some JSONSink) {
        json.member("kind", draft.kind.rawValue)
        json.member("multiQueue", draft.queues.isMultiple)
        json.member("queues", draft.queues.count.value)
        json.member("access", draft.access.rawValue)
        json.member("networkNamespace", draft.networkNamespace?.text)
        json.member("packetInfo", draft.packetInfo)
        json.member("vnetHeader", draft.vnetHeader)
        json.member("vnetHeaderSize", draft.vnetHeaderSize.value)
        json.member("offloads", offloads.names)
        json.member("sendBufferBytes", draft.sendBuffer?.value)
        json.member("owner", draft.owner?.document ?? .null)
        json.member("group", draft.group?.document ?? .null)
        json.member("napi", draft.napi)
        json.member("napiFrags", draft.napiFrags)
        json.object("link") { draft.link.encode(to: &$0) }
        json.member("adoption", draft.adoption.rawValue)
        json.member("driftPolicy", draft.driftPolicy.rawValue)
    }

    /// Reads a spec from the database. Owner and group may no longer exist. Versions without `link.ipv6` left IPv6 to
    /// the kernel.
    ///
    /// - Throws: `InvalidDocument` if the spec is invalid.
    public init(stored document: JSONValue) throws(InvalidDocument) {
        let reading = SpecReading(document, accounts: AnyAccount(), ipv6: .kernelDefault)
        guard let spec = reading.spec else { throw InvalidDocument(reading.issues) }
        self = spec
    }
}

extension LinkSpec {
    fileprivate func encode(to json: inout some JSONSink) {
        json.member("up", up)
        json.member("mtu", mtu.value)
        json.member("mtuPolicy", mtuPolicy.rawValue)
        json.member("macAddress", macAddress?.description)
        json.member("controller", controller?.text)
        json.member("controllerPolicy", controllerPolicy.rawValue)
        json.member("alias", alias?.text)
        json.member("altNames", altNames.map(\.text))
        json.member("txQueueLength", transmitQueueLength.value)
        json.member("addresses", addresses.map(\.description))
        json.member("duplicateAddressDetection", duplicateAddressDetection)
        json.member("ipv6", ipv6.rawValue)
        json.member("carrier", carrier.rawValue)
        json.member("queueDiscipline", queueDiscipline.rawValue)
        json.member("gsoMaxBytes", gsoMaxBytes?.value)
        json.member("gsoIPv4MaxBytes", gsoIPv4MaxBytes?.value)
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
