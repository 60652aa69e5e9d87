internal import TapCore

/// One mistake in a document: where (RFC 6901) and what.
public struct FieldIssue: Hashable, Sendable {
    public let pointer: String
    public let detail: String

    public init(pointer: String, detail: String) {
        self.pointer = pointer
        self.detail = detail
    }
}

extension FieldIssue {
    /// Members of an object that have other keys than its fields.
    public static func unknown(
        _ keys: some Collection<String>, at pointer: String = "", known: [String]
    ) -> [FieldIssue] {
        guard !keys.isEmpty else { return [] }
        let detail =
            "is not a field of this object; known \(known.count == 1 ? "is" : "are") \(known.joined(separator: ", "))"
        return keys.map { FieldIssue(pointer: pointer + "/" + escape($0), detail: detail) }
    }

    /// RFC 6901, section 3; and an unknown key is quoted only as far as a person reads.
    static func escape(_ key: String) -> String {
        guard key.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else {
            return key.shortened
        }
        // By scalars: with a mark behind it, a slash is another character, and still a slash.
        return key.shortened.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "~": escaped += "~0"
            case "/": escaped += "~1"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }
}

/// All mistakes of a document, told at once.
public struct InvalidDocument: Error, Hashable, Sendable {
    /// More than a person reads: a document of mistakes alone must not become an answer many times as long.
    public static let issuesMax = 100

    /// The first of them, sorted by pointer; never empty.
    public let issues: [FieldIssue]

    public init(_ issues: [FieldIssue]) {
        let sorted = issues.sorted { ($0.pointer, $0.detail) < ($1.pointer, $1.detail) }
        self.issues = Array(sorted.prefix(Self.issuesMax))
    }
}

extension String {
    /// At most 64 scalars of it, for an error; a character may have any number of them.
    var shortened: String {
        utf8.count <= 64 || unicodeScalars.count <= 64 ? self : String(unicodeScalars.prefix(63)) + "…"
    }
}
