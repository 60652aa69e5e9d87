import Foundation

/// The dependencies between the source files of a target, found by the names of types, without the compiler.
struct SourceGraph {
    /// The files' texts, by the path below the target's folder.
    let texts: [String: String]
    /// For each file, the files whose types it names.
    let uses: [String: Set<String>]

    init(target: String, root: URL) throws {
        let folder = root.appending(path: "Sources/\(target)")
        var texts: [String: String] = [:]
        for case let path as String in FileManager.default.enumerator(atPath: folder.path) ?? .init()
        where path.hasSuffix(".swift") {
            texts[path] = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
        }
        self.texts = texts
        let code = texts.mapValues(Self.code)
        let homes = Self.homes(code)
        uses = Dictionary(
            uniqueKeysWithValues: code.map { path, text in
                let names = Set(text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init))
                return (path, Set(names.compactMap { homes[$0] }).subtracting([path]))
            })
    }

    /// The folder of a file; empty for a file of the target's own folder.
    static func folder(_ path: String) -> String {
        path.split(separator: "/").dropLast().joined(separator: "/")
    }

    /// The text without comments and the literal parts of strings.
    private static func code(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            var kept = ""
            var isQuoted = false
            // The depth of parentheses in an interpolation.
            var depth = 0
            var rest = Substring(line)
            while let character = rest.popFirst() {
                if isQuoted, depth == 0 {
                    if character == "\\" {
                        if rest.popFirst() == "(" { depth = 1 }
                        kept += " "
                    } else if character == "\"" {
                        isQuoted = false
                    }
                } else if depth > 0 {
                    depth += character == "(" ? 1 : character == ")" ? -1 : 0
                    kept.append(depth > 0 ? character : " ")
                } else if character == "\"" {
                    isQuoted = true
                    kept += " "
                } else if character == "/", rest.first == "/" {
                    break
                } else {
                    kept.append(character)
                }
            }
            return kept
        }.joined(separator: "\n")
    }

    /// The file that declares each top-level type. Uses of nested types name the type around them.
    private static func homes(_ code: [String: String]) -> [String: String] {
        let declaration = /^(?:@\w+ )*(?:[a-z]+(?:\([a-z]+\))? )*?(?:struct|class|enum|protocol|typealias) ([A-Z]\w*)/
        var homes: [String: String] = [:]
        for (path, text) in code {
            for line in text.split(separator: "\n") {
                if line.hasPrefix("private ") || line.hasPrefix("fileprivate ") { continue }
                if let match = line.firstMatch(of: declaration) { homes[String(match.1)] = path }
            }
        }
        return homes
    }

    /// The functions, initializers and computed properties of a formatted file that have a body of several lines, with
    /// the number of their lines.
    func functions(of path: String) -> [(name: String, length: Int)] {
        let lines = (texts[path] ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        let start = /^ *(?:[@\w]+(?:\([^)]*\))? )*(?:func |init[?(<]|deinit|subscript|var \w+[^=]*\{$).*/
        return lines.indices.compactMap { first in
            guard lines[first].wholeMatch(of: start) != nil else { return nil }
            let indentation = lines[first].prefix { $0 == " " }
            // A declaration without a body, as in a protocol, or with one on its line, ends before its indentation's
            // next declaration.
            let end = lines[(first + 1)...].firstIndex { line in
                line.hasPrefix(indentation) && line.dropFirst(indentation.count).first.map { $0 != " " } == true
                    && !line.dropFirst(indentation.count).hasPrefix(")")
            }
            guard let end, lines[end] == indentation + "}" else { return nil }
            return (lines[first].trimmingCharacters(in: .whitespaces), end - first + 1)
        }
    }

    /// For each folder, the other folders that its files use.
    var folders: [String: Set<String>] {
        var folders: [String: Set<String>] = [:]
        for (path, used) in uses {
            let folder = Self.folder(path)
            folders[folder, default: []].formUnion(Set(used.map(Self.folder)).subtracting([folder]))
        }
        return folders
    }

    /// For messages: the dependencies of a folder's files on files of other folders.
    func uses(of folder: String, in others: Set<String>) -> [String] {
        uses.filter { Self.folder($0.key) == folder }.flatMap { path, used in
            used.filter { others.contains(Self.folder($0)) }.map { "\(path) -> \($0)" }
        }.sorted()
    }

    /// The cycles: groups of files in which each depends on each other one, directly or not.
    var cycles: [Set<String>] {
        let reached = Dictionary(uniqueKeysWithValues: uses.keys.map { ($0, reach($0)) })
        var cycles: Set<Set<String>> = []
        for (path, others) in reached where others.contains(path) {
            cycles.insert(others.filter { reached[$0]?.contains(path) == true })
        }
        return Array(cycles)
    }

    private func reach(_ path: String) -> Set<String> {
        var reached: Set<String> = []
        var open = uses[path] ?? []
        while let next = open.popFirst() {
            if reached.insert(next).inserted { open.formUnion(uses[next] ?? []) }
        }
        return reached
    }
}
