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

    @Test func everyRoomIsKnown() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "Sources").path)
        #expect(Set(folders).subtracting(["CLinux", "CMicroHTTPD", "CGnuTLS", "CErrorPage"]) == Set(Self.allowed.keys))
    }
}
