internal import TapCore

/// One mistake in a document.
public struct FieldIssue: Hashable, Sendable {
    /// Its place, a JSON pointer (RFC 6901); empty for the document itself.
    public let pointer: String
    /// What is wrong, and what is allowed.
    public let detail: String

    public init(pointer: String, detail: String) {
        self.pointer = pointer
        self.detail = detail
    }
}

extension FieldIssue {
    /// An issue for each unknown key of an object; `known` are the keys of its fields.
    public static func unknown(
        _ keys: some Collection<String>, at pointer: String = "", known: [String]
    ) -> [FieldIssue] {
        guard !keys.isEmpty else { return [] }
        let detail =
            "is not a field of this object; known \(known.count == 1 ? "is" : "are") \(known.joined(separator: ", "))"
        return keys.map { FieldIssue(pointer: pointer + "/" + escape($0), detail: detail) }
    }

    /// Escapes a key for a JSON pointer (RFC 6901, section 3), shortened for readability.
    static func escape(_ key: String) -> String {
        guard key.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else {
            return key.shortened
        }
        // By scalars, since a slash with a combining mark is another `Character`, but must be escaped too.
        return key.shortened.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "~": escaped += "~0"
            case "/": escaped += "~1"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }
}

/// All mistakes of a document.
public struct InvalidDocument: Error, Hashable, Sendable {
    /// Most issues that are reported: a document with many mistakes must not cause an answer of many times its size.
    public static let issuesMax = 100

    /// The first `issuesMax` issues, sorted by pointer; not empty.
    public let issues: [FieldIssue]

    /// Sorts the issues and keeps the first `issuesMax`.
    public init(_ issues: [FieldIssue]) {
        let sorted = issues.sorted { ($0.pointer, $0.detail) < ($1.pointer, $1.detail) }
        self.issues = Array(sorted.prefix(Self.issuesMax))
    }
}

extension String {
    /// At most 64 scalars, for an error. Scalars, since a `Character` may have any number of them.
    var shortened: String {
        utf8.count <= 64 || unicodeScalars.count <= 64 ? self : String(unicodeScalars.prefix(63)) + "…"
    }
}
