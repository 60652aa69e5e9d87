/// A list of the API that has no pages.
public struct ItemList<Item: AnswerDocument>: Hashable, Sendable {
    public var items: [Item]

    public init(_ items: [Item]) {
        self.items = items
    }
}

extension ItemList: AnswerDocument {
    public var document: JSONValue { ["items": .array(items.map(\.document))] }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        items = try MemberReader(json, at: pointer).value("items")
    }
}

/// A page of the list of devices, or all of it.
public struct DeviceList: Hashable, Sendable {
    public struct Metadata: Hashable, Sendable {
        /// Names the next page to GET /v1/devices?continue=; `nil` on the last one.
        public var continueToken: String?
        /// The database's revision when the first page was read: a watch from it misses nothing.
        public var resourceVersion: Int

        public init(continueToken: String?, resourceVersion: Int) {
            self.continueToken = continueToken
            self.resourceVersion = resourceVersion
        }
    }

    public var items: [DeviceDocument]
    public var metadata: Metadata

    public init(items: [DeviceDocument], metadata: Metadata) {
        self.items = items
        self.metadata = metadata
    }

    /// The list's JSON text from that of each device.
    public static func bytes(items: some Sequence<[UInt8]>, metadata: Metadata) -> [UInt8] {
        var bytes = Array(#"{"items":["#.utf8)
        var isFirst = true
        for item in items {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            bytes += item
        }
        return bytes + Array(#"],"metadata":"#.utf8) + metadata.document.bytes + [UInt8(ascii: "}")]
    }
}

extension DeviceList: AnswerDocument {
    public var document: JSONValue {
        ["items": .array(items.map(\.document)), "metadata": metadata.document]
    }

    public var bytes: [UInt8] { Self.bytes(items: items.lazy.map(\.bytes), metadata: metadata) }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        items = try reader.value("items")
        metadata = try reader.value("metadata")
    }
}

extension DeviceList.Metadata: AnswerDocument {
    public var document: JSONValue {
        ["continue": JSONValue(continueToken), "resourceVersion": .string(String(resourceVersion))]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        continueToken = try reader.optional("continue")
        resourceVersion = try reader.revision("resourceVersion")
    }
}
