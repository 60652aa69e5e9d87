internal import TapCore
internal import Yams

/// Reads a YAML file, and collects the mistakes, unknown keys among them, each with its line.
struct YAMLReader {
    typealias Entry = (key: String, line: Int, value: Node)

    private let file: String
    private(set) var issues: [SettingIssue] = []

    init(file: String) {
        self.file = file
    }

    func place(_ line: Int) -> String { "\(file):\(line)" }

    mutating func fail(_ line: Int, _ detail: String) {
        issues.append(SettingIssue(place: place(line), detail: detail))
    }

    /// The document's root; `nil` if the document is empty or is not valid YAML.
    mutating func root(of text: String) -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
            for key in keys.sorted() {
                let line =
                    Self.repetition(of: key, in: text, from: context.mark.line)
                    ?? Self.repetition(of: key, in: text, from: 1)
                fail(line ?? context.mark.line, "duplicate key '\(key)'")
            }
        } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _)
        {
            fail(mark.line, "not valid YAML: \(problem)")
        } catch {
            fail(1, "not valid YAML: \(error)")
        }
        return nil
    }

    /// The line of a key's second occurrence; the parser reports only the line where the mapping begins.
    private static func repetition(of key: String, in text: String, from line: Int) -> Int? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let mentions = lines.indices.dropFirst(line - 1).filter { index in
            let words = lines[index].drop { " -\"'".contains($0) }
            return words.hasPrefix(key) && words.dropFirst(key.count).drop { " \"'".contains($0) }.first == ":"
        }
        return mentions.dropFirst().first.map { $0 + 1 }
    }

    /// The entries of a mapping.
    ///
    /// - Parameters:
    ///   - node: The mapping.
    ///   - what: The mapping's name in messages.
    ///   - keys: The known keys; `nil` to accept any key.
    /// - Returns: The entries with known keys.
    mutating func entries(_ node: Node, of what: String, keys: [String]? = nil) -> [Entry] {
        guard case .mapping(let mapping) = node else {
            fail(Self.line(node), "\(what) must be a mapping of keys to values")
            return []
        }
        return mapping.compactMap { key, value in
            let line = Self.line(key)
            guard let name = key.scalar?.string else {
                fail(line, "a key of \(what) must be a single word")
                return nil
            }
            if let keys, !keys.contains(name) {
                let nearest = nearest(to: name, among: keys).map { "; did you mean '\($0)'?" }
                fail(line, "unknown key '\(name)'\(nearest ?? "; known: \(keys.joined(separator: ", "))")")
                return nil
            }
            return (name, line, value)
        }
    }

    /// A scalar; `nil` if the node is null or, with a mistake, is not a scalar.
    mutating func text(_ node: Node, of what: String) -> String? {
        guard case .scalar(let scalar) = node else {
            fail(Self.line(node), "\(what) must be a single value")
            return nil
        }
        return isNull(node) ? nil : scalar.string
    }

    /// Whether the node is YAML's null; a quoted "null" is a string.
    func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .plain && node.null != nil
    }

    mutating func list(_ node: Node, of what: String) -> [Node] {
        if isNull(node) { return [] }
        guard case .sequence(let sequence) = node else {
            fail(Self.line(node), "\(what) must be a list")
            return []
        }
        return Array(sequence)
    }

    /// The parsed scalar; `nil`, with a mistake, if it is missing or invalid.
    mutating func value<Value>(
        _ node: Node, of what: String, _ parse: (String) throws(ValidationError) -> Value
    ) -> Value? {
        if isNull(node) { fail(Self.line(node), "\(what) has no value") }
        guard let text = text(node, of: what) else { return nil }
        return value(text, line: Self.line(node), of: what, parse)
    }

    mutating func value<Value>(
        _ text: String, line: Int, of what: String, _ parse: (String) throws(ValidationError) -> Value
    ) -> Value? {
        do throws(ValidationError) { return try parse(text) } catch {
            fail(line, "\(what): \(error.detail)")
            return nil
        }
    }

    static func line(_ node: Node) -> Int { node.mark?.line ?? 1 }
}

/// The known word that was probably meant: with an edit distance of at most a third of its length, ignoring case.
func nearest(to word: String, among known: [String]) -> String? {
    let rated = known.map { (word: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
    guard let best = rated.min(by: { $0.distance < $1.distance }), best.distance * 3 <= max(best.word.count, 3)
    else { return nil }
    return best.word
}

/// The Levenshtein distance of the first `wordCharactersMax` characters.
private func editDistance(_ first: String, _ second: String) -> Int {
    let wordCharactersMax = 64
    let second = Array(second.prefix(wordCharactersMax))
    var row = Array(0...second.count)
    for (index, character) in first.prefix(wordCharactersMax).enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for (column, other) in second.enumerated() {
            let next = min(row[column + 1] + 1, row[column] + 1, diagonal + (character == other ? 0 : 1))
            diagonal = row[column + 1]
            row[column + 1] = next
        }
    }
    return row[second.count]
}
