/// A list without pages.
public struct ItemList<Item: AnswerDocument>: Hashable, Sendable {
    /// All items, in the order of the document.
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

/// A page of the list of devices, or the whole list.
public struct DeviceList: Hashable, Sendable {
    /// Where the list continues, and its revision.
    public struct Metadata: Hashable, Sendable {
        /// Value of `continue` for the next page of GET /v1/devices; `nil` on the last page.
        public var continueToken: String?
        /// The database's revision at the first page: a watch from it misses no change.
        public var resourceVersion: Int

        public init(continueToken: String?, resourceVersion: Int) {
            self.continueToken = continueToken
            self.resourceVersion = resourceVersion
        }
    }

    /// The devices of the page, by name.
    public var items: [DeviceDocument]
    /// Where the list continues.
    public var metadata: Metadata

    public init(items: [DeviceDocument], metadata: Metadata) {
        self.items = items
        self.metadata = metadata
    }

    /// The JSON text of the list from the JSON texts of its devices.
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

    /// Written without a tree of values, which is faster.
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
