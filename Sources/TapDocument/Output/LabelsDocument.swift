/// Labels as JSON, as shown by the API and stored in the database.
extension Labels {
    /// The JSON text for the database, sorted by key.
    public var text: String { String(decoding: JSONWriter.object(bytesExpected: 64, encode), as: UTF8.self) }

    /// An object with the values by key.
    public var document: JSONValue { JSONMembers.object(encode) }

    /// Adds the labels as members, sorted by key.
    public func encode(to json: inout some JSONSink) {
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { json.member(key, value) }
    }

    /// Reads labels from the database.
    ///
    /// - Throws: `InvalidDocument` if they are invalid.
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
