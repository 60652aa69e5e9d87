internal import TapCore

/// Reads the members of an object of a request one by one. It collects all mistakes instead of stopping at the first;
/// `finish` also reports the members that were not read.
struct ObjectReader {
    /// Initial capacity of `keys`: most objects have fewer fields.
    private static let keysExpected = 20

    private let pointer: String
    private let members: [String: JSONValue]
    /// The keys that were read, in that order, as an error about an unknown key lists them.
    private(set) var keys: [String] = []
    /// Accepted keys that are not listed in errors.
    private var ignoredKeys: [String] = []
    /// Whether unknown members are ignored.
    private let isOpen: Bool
    /// How many members have one of the accepted keys.
    private var membersFound = 0
    private(set) var issues: [FieldIssue] = []

    /// - Parameters:
    ///   - value: The object; `nil` counts as one without members.
    ///   - pointer: Its place in the document (RFC 6901).
    ///   - isOpen: Whether to ignore unknown members.
    init(_ value: JSONValue?, at pointer: String, isOpen: Bool = false) {
        self.pointer = pointer
        self.isOpen = isOpen
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

    /// The value of a member; call it once for each key.
    mutating func value(_ key: String) -> JSONValue? {
        keys.append(key)
        return find(key)
    }

    /// Accepts fields and ignores their values.
    mutating func skip(_ keys: [String]) {
        for key in keys { _ = value(key) }
    }

    /// Accepts a field and ignores its value; errors about unknown keys do not list it.
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
        switch value(key) {
        case nil: return nil
        case .bool(let value): return value
        case let other?:
            note(key, "must be true or false, found \(other.kind)")
            return nil
        }
    }

    mutating func integer<Number: BoundedInteger>(_ key: String, _: Number.Type, orNull: Bool = false) -> Number? {
        switch value(key) {
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
        switch value(key) {
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
        switch value(key) {
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

    /// `parse` returns the value of an element, and its text for an error.
    private mutating func elements<Value: Hashable & Comparable>(
        _ key: String, _ kind: String, countMax: Int,
        _ parse: (JSONValue) throws(ValidationError) -> (value: Value, words: String)
    ) -> [Value] {
        switch value(key) {
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
                        note([FieldIssue(pointer: place, detail: "duplicate \(words)")])
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

    /// All mistakes, with those about unknown members.
    consuming func finish() -> [FieldIssue] {
        if !isOpen, membersFound < members.count {
            let unknown = members.keys.filter { !keys.contains($0) && !ignoredKeys.contains($0) }
            note(FieldIssue.unknown(unknown, at: pointer, known: keys))
        }
        return issues
    }
}
