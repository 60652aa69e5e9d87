/// Reads the members of an object of an answer. It stops at the first mistake and ignores unknown members, unlike
/// `ObjectReader`, which reads requests and reports every mistake.
struct MemberReader {
    private let pointer: String
    private let members: [String: JSONValue]

    /// - Parameters:
    ///   - json: The object.
    ///   - pointer: Its place in the whole document (RFC 6901).
    /// - Throws: `InvalidDocument` if `json` is not an object.
    init(_ json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .object(let members) = json else { throw InvalidDocument(json, at: pointer, wanted: "an object") }
        self.pointer = pointer
        self.members = members
    }

    /// A required member.
    ///
    /// - Throws: `InvalidDocument` if the member is missing, null or invalid.
    func value<Value: JSONReadable>(_ key: String) throws(InvalidDocument) -> Value {
        guard let value: Value = try optional(key) else {
            let isMissing = members[key] == nil
            throw InvalidDocument([FieldIssue(pointer: place(key), detail: isMissing ? "is missing" : "is null")])
        }
        return value
    }

    /// - Returns: `nil` if the member is missing or null.
    /// - Throws: `InvalidDocument` if the member is invalid.
    func optional<Value: JSONReadable>(_ key: String) throws(InvalidDocument) -> Value? {
        switch members[key] {
        case nil, .null: nil
        case let json?: try Value(json: json, at: place(key))
        }
    }

    /// The JSON of a member; null if it is missing.
    func json(_ key: String) -> JSONValue { members[key] ?? .null }

    /// An array; empty if the member is missing or null, as in documents of an older daemon.
    func list<Element: JSONReadable>(_ key: String) throws(InvalidDocument) -> [Element] { try optional(key) ?? [] }

    /// - Throws: `InvalidDocument` if the member is missing or is not a revision.
    func revision(_ key: String) throws(InvalidDocument) -> Int {
        let text: RevisionText = try value(key)
        return text.value
    }

    /// - Returns: `nil` if the member is missing or null.
    /// - Throws: `InvalidDocument` if the member is not a revision.
    func optionalRevision(_ key: String) throws(InvalidDocument) -> Int? {
        let text: RevisionText? = try optional(key)
        return text?.value
    }

    /// The JSON pointer of a member (RFC 6901).
    func place(_ key: String) -> String { pointer + "/" + FieldIssue.escape(key) }
}
