/// Reads the members of an object of an answer. It stops at the first mistake, and ignores members that it is not asked
/// for. `ObjectReader` is for requests, of which every mistake is told.
struct MemberReader {
    private let pointer: String
    private let members: [String: JSONValue]

    /// - Parameters:
    ///   - json: The object.
    ///   - pointer: Its place in the whole document (RFC 6901).
    /// - Throws: `InvalidDocument` for anything but an object.
    init(_ json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .object(let members) = json else { throw InvalidDocument(json, at: pointer, wanted: "an object") }
        self.pointer = pointer
        self.members = members
    }

    /// - Throws: `InvalidDocument` when the member is missing or null, or is no such value.
    func value<Value: JSONReadable>(_ key: String) throws(InvalidDocument) -> Value {
        guard let value: Value = try optional(key) else {
            let isMissing = members[key] == nil
            throw InvalidDocument([FieldIssue(pointer: place(key), detail: isMissing ? "is missing" : "is null")])
        }
        return value
    }

    /// - Returns: `nil` for a member that is missing or null.
    /// - Throws: `InvalidDocument` when it is no such value.
    func optional<Value: JSONReadable>(_ key: String) throws(InvalidDocument) -> Value? {
        switch members[key] {
        case nil, .null: nil
        case let json?: try Value(json: json, at: place(key))
        }
    }

    /// The member as it is; null where it is missing.
    func json(_ key: String) -> JSONValue { members[key] ?? .null }

    /// An array that an older daemon does not write is empty.
    func list<Element: JSONReadable>(_ key: String) throws(InvalidDocument) -> [Element] { try optional(key) ?? [] }

    /// - Throws: `InvalidDocument` when the member is missing, or is no revision.
    func revision(_ key: String) throws(InvalidDocument) -> Int {
        let text: RevisionText = try value(key)
        return text.value
    }

    /// - Returns: `nil` for a member that is missing or null.
    /// - Throws: `InvalidDocument` when it is no revision.
    func optionalRevision(_ key: String) throws(InvalidDocument) -> Int? {
        let text: RevisionText? = try optional(key)
        return text?.value
    }

    /// The place of a member (RFC 6901).
    func place(_ key: String) -> String { pointer + "/" + FieldIssue.escape(key) }
}
