public import TapCore

/// A spec as JSON: what the API shows and the database keeps.
extension DeviceSpec {
    /// The JSON text, as the database keeps it.
    public var text: String { String(decoding: JSONWriter.object(encode), as: UTF8.self) }

    public var document: JSONValue { JSONMembers.object(encode) }

    /// Every field, defaults included.
    public func encode(to json: inout some JSONSink) {
        json.member("kind", self.kind.rawValue)
        json.member("multiQueue", self.queues.isMultiple)
        json.member("queues", self.queues.count.value)
        json.member("access", self.access.rawValue)
        json.member("networkNamespace", self.networkNamespace?.text)
        json.member("packetInfo", self.packetInfo)
        json.member("vnetHeader", self.vnetHeader)
        json.member("vnetHeaderSize", self.vnetHeaderSize.value)
        json.member("offloads", self.offloads.names)
        json.member("sendBufferBytes", self.sendBuffer?.value)
        json.member("owner", self.owner?.document ?? .null)
        json.member("group", self.group?.document ?? .null)
        json.member("napi", self.napi)
        json.member("napiFrags", self.napiFrags)
        json.object("link") { self.link.encode(to: &$0) }
        json.member("adoption", self.adoption.rawValue)
        json.member("driftPolicy", self.driftPolicy.rawValue)
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

extension LinkSpec {
    fileprivate func encode(to json: inout some JSONSink) {
        json.member("up", up)
        json.member("mtu", mtu.value)
        json.member("macAddress", macAddress?.description)
        json.member("controller", controller?.text)
        json.member("alias", alias?.text)
        json.member("altNames", altNames.map(\.text))
        json.member("txQueueLength", transmitQueueLength.value)
        json.member("addresses", addresses.map(\.description))
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
