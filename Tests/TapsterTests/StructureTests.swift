import Foundation
import Testing

/// The rooms and the direction of their imports, as the design draws them.
@Suite struct StructureTests {
    /// What each room may import of ours, and of others.
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
            "TapEngine", "TapCore", "TapDocument", "TapStore", "TapHTTP", "TapSystem", "OpenAPI", "Foundation",
            "Dispatch", "Synchronization", "HashTreeCollections", "Logging", "Yams",
        ],
        "tapster": [
            "TapAPI", "TapEngine", "TapKernel", "TapStore", "TapHTTP", "TapDocument", "TapCore", "TapSystem",
            "ArgumentParser",
            "Logging",
            "Foundation", "Dispatch", "Glibc", "Synchronization", "Yams",
        ],
    ]

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func sources(_ room: String) throws -> [(path: String, text: String)] {
        let folder = root.appending(path: "Sources/\(room)")
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
            .map { ($0.lastPathComponent, try String(contentsOf: $0, encoding: .utf8)) }
    }

    @Test(arguments: allowed.keys.sorted())
    func importsGoOneWay(room: String) throws {
        let sources = try Self.sources(room)
        #expect(!sources.isEmpty)
        for (path, text) in sources {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let keyword = words.firstIndex(of: "import"), keyword <= 2, !line.hasPrefix("//"),
                    words.count > keyword + 1
                else { continue }
                let module = String(words[keyword + 1])
                #expect(Self.allowed[room]?.contains(module) == true, "\(room)/\(path) imports \(module)")
            }
        }
    }

    /// The engine serves any protocol: it names nothing of HTTP.
    @Test func theEngineKnowsNoProtocol() throws {
        for (path, text) in try Self.sources("TapEngine") {
            for word in ["HTTP", "HTTPS", "URL", "TapHTTP", "JSONWriter.response"] {
                let names = text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.filter { $0.hasPrefix(word) }
                #expect(names.isEmpty, "TapEngine/\(path) names \(names.joined(separator: ", "))")
            }
        }
    }

    /// Raw system calls are made in TapSystem and, for what is its own, in TapKernel; elsewhere only those that tell who or
    /// where the process is, and what libmicrohttpd and SQLite want.
    @Test(arguments: ["TapCore", "TapDocument", "TapStore", "TapEngine", "TapAPI", "tapster"])
    func systemCallsHaveOneRoom(room: String) throws {
        let calls: Set<String> = [
            "open", "openat", "close", "pread", "pwrite", "fsync", "fdatasync", "flock", "fchmod", "chmod", "chown",
            "fchown", "fstat", "lstat", "socket", "socketpair", "bind", "connect", "listen", "poll", "recv", "sendmsg",
            "unlink", "unlinkat", "rename", "renameat", "ioctl", "pthread_create",
        ]
        for (path, text) in try Self.sources(room) {
            for line in text.split(separator: "\n") where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                for call in line.matches(of: /unsafe ([a-z_]+)\(/) where calls.contains(String(call.1)) {
                    Issue.record("\(room)/\(path) calls \(call.1)(2): \(line)")
                }
            }
        }
    }

    @Test func everyRoomIsKnown() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "Sources").path)
        #expect(Set(folders).subtracting(["CLinux", "CMicroHTTPD", "CGnuTLS", "CErrorPage"]) == Set(Self.allowed.keys))
    }
}
