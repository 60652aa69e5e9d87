import Foundation
import Testing

/// The targets, their imports, and the dependencies between their folders and files.
@Suite struct StructureTests {
    /// The modules that each target may import.
    private static let allowed: [String: Set<String>] = [
        "TapSystem": ["CLinux", "Dispatch", "Foundation", "Glibc", "Synchronization"],
        // Glibc for the text of IP addresses.
        "TapCore": ["TapSystem", "Glibc"],
        "TapDocument": ["TapCore", "Foundation"],
        "TapKernel": ["TapCore", "TapSystem", "CLinux", "Glibc", "Foundation", "Synchronization"],
        "TapStore": [
            "TapCore", "TapDocument", "TapSystem", "Migrations", "GRDB", "GRDBSQLite", "Synchronization", "Foundation",
            "Glibc",
        ],
        "TapHTTP": ["TapSystem", "CMicroHTTPD", "CGnuTLS", "CErrorPage", "Foundation", "Glibc", "Synchronization"],
        "TapEngine": [
            "TapCore", "TapDocument", "TapStore", "TapSystem", "Foundation", "Dispatch", "Synchronization",
            "HashTreeCollections", "Logging",
        ],
        "TapAPI": [
            "TapEngine", "TapCore", "TapDocument", "TapStore", "TapHTTP", "TapSystem", "COpenAPI", "Foundation",
            "Dispatch", "Synchronization", "HashTreeCollections", "Logging", "Yams",
        ],
        "tapster": [
            "TapAPI", "TapEngine", "TapKernel", "TapStore", "TapHTTP", "TapDocument", "TapCore", "TapSystem",
            "ArgumentParser", "Logging", "Foundation", "Dispatch", "Glibc", "Synchronization", "Yams",
        ],
    ]

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test(arguments: allowed.keys.sorted())
    func importsGoOneWay(target: String) throws {
        let sources = try SourceGraph(target: target, root: Self.root).texts
        #expect(!sources.isEmpty)
        for (path, text) in sources {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let keyword = words.firstIndex(of: "import"), keyword <= 2, !line.hasPrefix("//"),
                    words.count > keyword + 1
                else { continue }
                let module = String(words[keyword + 1])
                #expect(Self.allowed[target]?.contains(module) == true, "\(target)/\(path) imports \(module)")
            }
        }
    }

    /// The engine is independent of the protocol: it uses no names of HTTP.
    @Test func theEngineKnowsNoProtocol() throws {
        for (path, text) in try SourceGraph(target: "TapEngine", root: Self.root).texts {
            for word in ["HTTP", "URL", "TapHTTP"] {
                let names = text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.filter { $0.hasPrefix(word) }
                #expect(names.isEmpty, "TapEngine/\(path) names \(names.joined(separator: ", "))")
            }
        }
    }

    /// Raw system calls are made in TapSystem and, for network devices, in TapKernel; elsewhere only calls that query
    /// the process, and those that libmicrohttpd and SQLite need.
    @Test(arguments: ["TapCore", "TapDocument", "TapStore", "TapEngine", "TapAPI", "tapster"])
    func rawSystemCallsAreMadeInTapSystem(target: String) throws {
        let calls: Set<String> = [
            "open", "openat", "close", "pread", "pwrite", "fsync", "fdatasync", "flock", "fchmod", "chmod", "chown",
            "fchown", "fstat", "lstat", "socket", "socketpair", "bind", "connect", "listen", "poll", "recv", "sendmsg",
            "unlink", "unlinkat", "rename", "renameat", "ioctl", "pthread_create",
        ]
        for (path, text) in try SourceGraph(target: target, root: Self.root).texts {
            for line in text.split(separator: "\n") where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                for call in line.matches(of: /unsafe ([a-z_]+)\(/) where calls.contains(String(call.1)) {
                    Issue.record("\(target)/\(path) calls \(call.1)(2): \(line)")
                }
            }
        }
    }

    /// The formatter does not wrap comments and strings.
    @Test func linesFitInto120Columns() throws {
        for folder in ["Sources", "Tests", "Benchmarks"] {
            let place = Self.root.appending(path: folder)
            for case let path as String in FileManager.default.enumerator(atPath: place.path) ?? .init() {
                guard [".swift", ".c", ".h"].contains(where: path.hasSuffix) else { continue }
                let text = try String(contentsOf: place.appending(path: path), encoding: .utf8)
                for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                    #expect(line.count <= 120, "\(folder)/\(path):\(number + 1)")
                }
            }
        }
    }

    /// A file that fits on a few screens, and a function that fits on one.
    @Test(arguments: allowed.keys.sorted())
    func filesAndFunctionsAreShort(target: String) throws {
        let graph = try SourceGraph(target: target, root: Self.root)
        for (path, text) in graph.texts {
            #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 401, "\(target)/\(path)")
            for (name, length) in graph.functions(of: path) where length > 60 {
                Issue.record("\(target)/\(path): '\(name)' has \(length) lines")
            }
        }
    }

    @Test func everyTargetIsListed() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "Sources").path)
        #expect(Set(folders).subtracting(["CLinux", "CMicroHTTPD", "CGnuTLS", "CErrorPage"]) == Set(Self.allowed.keys))
    }

    /// The folders of the engine and the API, from the bottom to the top: files use only types of lower folders. The
    /// target's own folder, with the empty name, may use all.
    private static let layers: [String: [String]] = [
        "TapEngine": ["Shared", "Metrics", "Snapshot", "Namespaces", "Leases", "Worker", "Writes", ""],
        "TapAPI": ["Access", "Problems", "Exposition", "Watch", "Requests", "Routes", ""],
    ]

    @Test(arguments: layers.keys.sorted())
    func foldersUseWhatIsBelowThem(target: String) throws {
        let layers = try #require(Self.layers[target])
        let graph = try SourceGraph(target: target, root: Self.root)
        let folders = graph.folders
        #expect(Set(folders.keys) == Set(layers))
        for (height, folder) in layers.enumerated() {
            let below = Set(layers[..<height])
            let others = folders[folder, default: []].subtracting(below)
            #expect(
                others.isEmpty, "\(target): \(graph.uses(of: folder, in: others))")
        }
        // The graph must not be empty, or the test would prove nothing.
        #expect(folders[""]?.isEmpty == false)
    }

    /// Two files may name each other if they belong together closely; a larger cycle cannot be read in any order.
    /// In TapHTTP a server, its exchanges and the handler's protocol refer to each other.
    @Test(arguments: allowed.keys.sorted())
    func filesFormNoLargeCycles(target: String) throws {
        for cycle in try SourceGraph(target: target, root: Self.root).cycles {
            #expect(cycle.count <= (target == "TapHTTP" ? 3 : 2), "\(target): \(cycle.sorted())")
        }
    }

    /// Checks the graph itself, on which the other tests rely.
    @Test func aGraphMatchesItsFiles() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "tapster-graph-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        let files = [
            "A/One.swift": "package struct One { let two: Two }\n// Three\nlet text = \"Three\"",
            "B/Two.swift": """
            final class Two {
                struct Nested {}
                let text = "\\(Three.text) One"
            }
            private struct Hidden {}
            """,
            "C/Three.swift": """
            enum Three {
                static func one() -> One {
                    {}()
                }
            }
            private struct Hidden {}
            """,
        ]
        for (path, text) in files {
            let file = root.appending(path: "Sources/T/\(path)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        let graph = try SourceGraph(target: "T", root: root)
        #expect(graph.uses["A/One.swift"] == ["B/Two.swift"])
        #expect(graph.uses["B/Two.swift"] == ["C/Three.swift"])
        #expect(graph.folders == ["A": ["B"], "B": ["C"], "C": ["A"]])
        #expect(graph.cycles == [Set(files.keys)])
        #expect(graph.functions(of: "C/Three.swift").map(\.name) == ["static func one() -> One {"])
        #expect(graph.functions(of: "C/Three.swift").map(\.length) == [3])
    }
}
