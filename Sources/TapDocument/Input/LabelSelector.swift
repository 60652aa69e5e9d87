public import TapCore

/// Selects devices by their labels, in the syntax of Kubernetes:
/// `vm=web,tier!=test,zone in (a,b),zone notin (c),rack,!spare`.
public struct LabelSelector: Hashable, Sendable {
    enum Requirement: Hashable, Sendable {
        case isOneOf(String, Set<String>)
        case isNoneOf(String, Set<String>)
        case exists(String)
        case isAbsent(String)
    }

    static let requirementsMax = 64
    static let bytesMax = 4_096

    let requirements: [Requirement]

    /// - Throws: `ValidationError` if `text` is not a selector.
    public init(_ text: String) throws(ValidationError) {
        guard text.utf8.count <= Self.bytesMax else {
            throw ValidationError("has \(text.utf8.count) bytes; \(Self.bytesMax) are allowed")
        }
        // As in Kubernetes, an empty selector matches all devices.
        let parts = text.isEmpty ? [] : try Self.split(text)
        guard parts.count <= Self.requirementsMax else {
            throw ValidationError("has \(parts.count) requirements; \(Self.requirementsMax) are allowed")
        }
        var requirements: [Requirement] = []
        for part in parts { requirements.append(try Self.requirement(part)) }
        self.requirements = requirements
    }

    /// Whether the labels meet all requirements.
    public func matches(_ labels: Labels) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .isOneOf(let key, let values): labels.values[key].map(values.contains) ?? false
            // As in Kubernetes, a missing label is none of the values.
            case .isNoneOf(let key, let values): !(labels.values[key].map(values.contains) ?? false)
            case .exists(let key): labels.values[key] != nil
            case .isAbsent(let key): labels.values[key] == nil
            }
        }
    }

    /// Splits at the commas outside parentheses.
    private static func split(_ text: String) throws(ValidationError) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var isInside = false
        for index in text.indices {
            switch text[index] {
            case "(" where !isInside: isInside = true
            case ")" where isInside: isInside = false
            case "(", ")": throw ValidationError("'\(text.shortened)' has unbalanced parentheses")
            case "," where !isInside:
                parts.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        guard !isInside else { throw ValidationError("'\(text.shortened)' has an unclosed parenthesis") }
        return parts + [text[start...]]
    }

    private static func requirement(_ text: Substring) throws(ValidationError) -> Requirement {
        let text = text.trimmed
        if let open = text.firstIndex(of: "("), text.last == ")" {
            let words = text[..<open].split(separator: " ")
            let values = text[text.index(after: open)...].dropLast().split(
                separator: ",", omittingEmptySubsequences: false)
            guard words.count == 2, words[1] == "in" || words[1] == "notin" else { throw malformed(text) }
            let key = try key(words[0], in: text)
            var set: Set<String> = []
            for value in values { set.insert(try self.value(value, in: text)) }
            return words[1] == "in" ? .isOneOf(key, set) : .isNoneOf(key, set)
        }
        if text.first == "!" { return .isAbsent(try key(text.dropFirst(), in: text)) }
        guard let equals = text.firstIndex(of: "=") else { return .exists(try key(text, in: text)) }
        var rest = text[text.index(after: equals)...]
        if rest.first == "=" { rest = rest.dropFirst() }
        let value = try value(rest, in: text)
        let left = text[..<equals]
        if left.last == "!" { return .isNoneOf(try key(left.dropLast(), in: text), [value]) }
        return .isOneOf(try key(left, in: text), [value])
    }

    private static func key(_ text: Substring, in whole: Substring) throws(ValidationError) -> String {
        let key = String(text.trimmed)
        guard Labels.isKey(key) else { throw malformed(whole) }
        return key
    }

    private static func value(_ text: Substring, in whole: Substring) throws(ValidationError) -> String {
        let value = String(text.trimmed)
        guard value.isEmpty || Labels.isName(value) else { throw malformed(whole) }
        return value
    }

    private static func malformed(_ text: Substring) -> ValidationError {
        ValidationError(
            "'\(String(text).shortened)' is not a requirement such as "
                + "vm=web, vm!=web, vm in (a,b), vm notin (a), vm, !vm"
        )
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while text.first == " " { text = text.dropFirst() }
        while text.last == " " { text = text.dropLast() }
        return text
    }
}
