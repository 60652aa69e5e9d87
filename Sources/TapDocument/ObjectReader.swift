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

/// Takes the members of an object one by one, notes every mistake instead of stopping at the first, and in the end
/// refuses the members that were not asked for.
struct ObjectReader {
    /// Most objects have fewer fields, so that `keys` grows once.
    private static let keysExpected = 20

    private let pointer: String
    private let members: [String: JSONValue]
    /// The keys that were asked for, in that order: an error about an unknown key lists them so.
    private(set) var keys: [String] = []
    /// Accepted, and not listed.
    private var ignoredKeys: [String] = []
    /// How many members have one of these keys.
    private var membersFound = 0
    private(set) var issues: [FieldIssue] = []

    init(_ value: JSONValue?, at pointer: String) {
        self.pointer = pointer
        switch value {
        case .object(let members):
            self.members = members
        case nil:
            members = [:]
        case let other?:
            members = [:]
            issues.append(FieldIssue(pointer: pointer, detail: "must be an object, found \(other.kind)"))
        }
        keys.reserveCapacity(Self.keysExpected)
    }

    func has(_ key: String) -> Bool { members[key] != nil }

    /// A member as it is, for nested objects. To be asked for once.
    mutating func take(_ key: String) -> JSONValue? {
        keys.append(key)
        return find(key)
    }

    /// Accepts fields of which the value does not count.
    mutating func skip(_ keys: [String]) {
        for key in keys { _ = take(key) }
    }

    /// Accepts a field of which the value does not count, and which an error about an unknown key does not list.
    mutating func ignore(_ key: String) {
        ignoredKeys.append(key)
        _ = find(key)
    }

    private mutating func find(_ key: String) -> JSONValue? {
        let member = members[key]
        if member != nil { membersFound += 1 }
        return member
    }

    mutating func note(_ key: String, _ detail: String) {
        issues.append(FieldIssue(pointer: pointer + "/" + FieldIssue.escape(key), detail: detail))
    }

    mutating func note(_ others: [FieldIssue]) {
        issues += others
    }

    mutating func bool(_ key: String) -> Bool? {
        switch take(key) {
        case nil: return nil
        case .bool(let value): return value
        case let other?:
            note(key, "must be true or false, found \(other.kind)")
            return nil
        }
    }

    mutating func integer<Number: BoundedInteger>(_ key: String, _: Number.Type, orNull: Bool = false) -> Number? {
        switch take(key) {
        case nil: return nil
        case .null where orNull: return nil
        case .integer(let value): return noting(key) { () throws(ValidationError) in try Number(value) }
        case let other?:
            note(key, "must be a whole number, found \(other.kind)")
            return nil
        }
    }

    mutating func word<Word: RawRepresentable<String> & CaseIterable>(_ key: String, _: Word.Type) -> Word? {
        var known: String { Word.allCases.map { "'\($0.rawValue)'" }.joined(separator: " or ") }
        switch take(key) {
        case nil: return nil
        case .string(let text):
            if let word = Word(rawValue: text) { return word }
            note(key, "is '\(text.shortened)', but must be \(known)")
            return nil
        case let other?:
            note(key, "must be \(known), found \(other.kind)")
            return nil
        }
    }

    mutating func text<Value>(
        _ key: String, orNull: Bool = false, _ parse: (String) throws(ValidationError) -> Value
    ) -> Value? {
        switch take(key) {
        case nil: return nil
        case .null where orNull: return nil
        case .string(let text): return noting(key) { () throws(ValidationError) in try parse(text) }
        case let other?:
            note(key, "must be a string, found \(other.kind)")
            return nil
        }
    }

    /// An array of different strings, sorted.
    mutating func list<Value: Hashable & Comparable>(
        _ key: String, countMax: Int, _ parse: (String) throws(ValidationError) -> Value
    ) -> [Value] {
        elements(key, "strings", countMax: countMax) { (element) throws(ValidationError) in
            guard case .string(let text) = element else {
                throw ValidationError("must be a string, found \(element.kind)")
            }
            return (try parse(text), "'\(text.shortened)'")
        }
    }

    /// An array of different numbers, sorted.
    mutating func numbers<Number: BoundedInteger>(_ key: String, _: Number.Type) -> [Number] {
        elements(key, "whole numbers", countMax: Number.bounds.count) { (element) throws(ValidationError) in
            guard case .integer(let number) = element else {
                throw ValidationError("must be a whole number, found \(element.kind)")
            }
            return (try Number(number), String(number))
        }
    }

    /// `parse` leads from an element to its value, and to what a person would call it.
    private mutating func elements<Value: Hashable & Comparable>(
        _ key: String, _ kind: String, countMax: Int,
        _ parse: (JSONValue) throws(ValidationError) -> (value: Value, words: String)
    ) -> [Value] {
        switch take(key) {
        case nil: return []
        case .array(let elements):
            guard elements.count <= countMax else {
                note(key, "has \(elements.count) elements; \(countMax) are allowed")
                return []
            }
            var values: Set<Value> = []
            for (position, element) in elements.enumerated() {
                let place = "\(pointer)/\(key)/\(position)"
                do throws(ValidationError) {
                    let (value, words) = try parse(element)
                    if !values.insert(value).inserted {
                        note([FieldIssue(pointer: place, detail: "\(words) is there twice")])
                    }
                } catch {
                    note([FieldIssue(pointer: place, detail: error.detail)])
                }
            }
            return values.sorted()
        case let other?:
            note(key, "must be an array of \(kind), found \(other.kind)")
            return []
        }
    }

    mutating func noting<Value>(_ key: String, _ parse: () throws(ValidationError) -> Value) -> Value? {
        do throws(ValidationError) {
            return try parse()
        } catch {
            note(key, error.detail)
            return nil
        }
    }

    /// Every mistake, members with other keys than those asked for included.
    consuming func finish() -> [FieldIssue] {
        if membersFound < members.count {
            let unknown = members.keys.filter { !keys.contains($0) && !ignoredKeys.contains($0) }
            note(FieldIssue.unknown(unknown, at: pointer, known: keys))
        }
        return issues
    }
}

extension String {
    /// At most 64 scalars of it, for an error; a character may have any number of them.
    var shortened: String {
        utf8.count <= 64 || unicodeScalars.count <= 64 ? self : String(unicodeScalars.prefix(63)) + "…"
    }
}
