/// Labels as JSON: what the API shows and the database keeps.
extension Labels {
    /// The JSON text, as the database keeps it: by key.
    public var text: String { String(decoding: JSONWriter.object(bytesExpected: 64, encode), as: UTF8.self) }

    public var document: JSONValue { JSONMembers.object(encode) }

    public func encode(to json: inout some JSONSink) {
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { json.member(key, value) }
    }

    /// Reads a document that this type wrote.
    ///
    /// - Throws: `InvalidDocument` when it is not one.
    public init(stored document: JSONValue) throws(InvalidDocument) {
        try self.init(json: document, at: "")
    }
}

extension Labels: JSONReadable {
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reading = Labels.reading(json, at: pointer)
        guard reading.issues.isEmpty else { throw InvalidDocument(reading.issues) }
        self = reading.value
    }
}
