import TapSystem
import Foundation
import Logging
import TapCore
import TapAPI
import TapEngine
import TestSupport
import Testing

@testable import tapster

/// The configuration that results from files, variables and options, parsed in memory except for the last test.
@Suite struct ConfigurationTests {
    private static let path = "/etc/t.yaml"

    private static func read(
        _ text: String, options: [Setting: String] = [:], environment: [String: String] = [:]
    ) throws(InvalidConfiguration) -> Configuration {
        try Configuration(
            options: options, environment: environment, path: path, file: ConfigurationFile(text, path: path))
    }

    /// The mistakes, one per line, without the file's name.
    private static func mistakes(_ text: String, options: [Setting: String] = [:]) -> String {
        do throws(InvalidConfiguration) {
            _ = try read(text, options: options)
            return ""
        } catch {
            return error.description.replacing(path + ":", with: "")
        }
    }

    @Test func withoutAnythingTheDefaultsHold() throws {
        for text in ["", "# nothing\n", "---\n", "null\n", "{}"] {
            let configuration = try Self.read(text)
            #expect(configuration.database == "/var/lib/tapster/tapster.db")
            #expect(configuration.socket == "/run/tapster/api.sock")
            #expect(configuration.socketGroup == .name("tapster"))
            #expect(configuration.logLevel == .info && configuration.logFormat == .text)
            #expect(configuration.listen == nil && configuration.metricsListen == nil && configuration.tls == nil)
            #expect(configuration.access.fallback == .viewer)
            #expect(configuration.access.users.isEmpty && configuration.access.groups.isEmpty)
        }
    }

    @Test func anOptionComesBeforeAVariableBeforeTheFileBeforeTheDefault() throws {
        for setting in Setting.allCases {
            // Texts that each setting accepts. There are only two log formats, so the source is checked by its place
            // too.
            let texts: [String] =
                switch setting {
                case .listen, .metricsListen: ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
                case .logLevel: ["debug", "warning", "error"]
                case .logFormat: ["json", "text", "json"]
                default: ["/1", "/2", "/3"]
                }
            let (group, _, name) = setting.key.partitioned(".")
            let file = name.isEmpty ? "\(group): \(texts[0])" : "\(group):\n  \(name): \(texts[0])"
            // TLS is refused without both of its files.
            let others = Dictionary(
                uniqueKeysWithValues: [Setting.certificateFile, .keyFile].filter { $0 != setting }.map { ($0, "/x") })
            func found(_ options: [Setting: String], _ environment: [String: String], _ file: String) throws
                -> Placed<String?>?
            {
                // A TLS setting needs others, which are given as options.
                try Self.read(
                    file, options: options.merging(setting.key.hasPrefix("tls") ? others : [:]) { $1 },
                    environment: environment
                ).settings[setting]
            }
            let variable = [setting.environmentName: texts[1]]
            let all = try found([setting: texts[2]], variable, file)
            #expect(all?.value == texts[2] && all?.place == setting.option)
            let without = try found([:], variable, file)
            #expect(without?.value == texts[1] && without?.place == setting.environmentName)
            // An empty variable counts as not set.
            let alone = try found([:], [setting.environmentName: ""], file)
            #expect(alone?.value == texts[0] && alone?.place == "\(Self.path):\(name.isEmpty ? 1 : 2)")
        }
        #expect(Setting.clientAuthorityFile.option == "--tls-client-authority-file")
        #expect(Setting.socketGroup.environmentName == "TAPSTER_SOCKET_GROUP")
    }

    @Test(arguments: [
        ("datbase: /x", "1: unknown key 'datbase'; did you mean 'database'?"),
        ("SOCKET: /x", "1: unknown key 'SOCKET'; did you mean 'socket'?"),
        ("\n\ntls:\n  keyfile: /x", "4: unknown key 'keyfile'; did you mean 'keyFile'?"),
        ("socket: /a\nlogLevel: info\nsocket: /b", "3: duplicate key 'socket'"),
        ("peers:\n  users:\n    a: viewer\n    \"a\": admin", "4: duplicate key 'a'"),
        ("peers: {users: {1: viewer, 01: admin}}", "1: 'peers.users': duplicate key '01'"),
        (
            "peers: {users: {alice: boss}}",
            "1: 'peers.users', alice: 'boss' is not a role; the roles are viewer, consumer, operator, admin"
        ),
        (
            "peers: {default: ''}",
            "1: 'peers.default': '' is not a role; the roles are viewer, consumer, operator, admin"
        ),
        ("peers: {users: {alice: null}}", "1: 'peers.users', alice has no value"),
        ("peers: {users: [alice]}", "1: 'peers.users' must be a mapping of keys to values"),
        (
            "peers: {groups: {-1: viewer}}",
            "1: 'peers.groups': -1 is not a user or group number; it must lie between 0 and 4294967294"
        ),
        ("socket: [a, b]", "1: 'socket' must be a single value"),
        ("socket:", "1: socket: has no value"),
        ("logLevel: loud", "1: logLevel: 'loud' is not a log level; it must be debug, info, warning or error"),
        (
            "listen: localhost:80",
            "1: listen: 'localhost:80' is not an address such as 127.0.0.1:8480 or [::1]:8480"
        ),
        (
            "listen: 127.0.0.1:70000",
            "1: listen: '127.0.0.1:70000' is not an address such as 127.0.0.1:8480 or [::1]:8480"
        ),
        ("allowedHosts: console.example", "1: 'allowedHosts' must be a list"),
        (
            "allowedHosts: ['a:80']",
            "1: 'allowedHosts': 'a:80' is not a host name; write it without scheme, port and path"
        ),
        (
            "certificates: {'sha256:00': admin}",
            "1: 'certificates': 'sha256:00' is not a fingerprint: 'sha256:' and 64 hexadecimal digits"
        ),
        ("- socket", "1: the file must be a mapping of keys to values"),
        ("socket: [", "2: not valid YAML: did not find expected node content"),
        ("tls: {keyFile: /k}", "1: tls.keyFile: TLS needs both tls.certificateFile and tls.keyFile"),
    ])
    func aMistakeIsReportedWithItsLine(text: String, mistake: String) {
        #expect(Self.mistakes(text) == mistake)
    }

    @Test func allMistakesComeInOneAnswer() {
        let mistakes = Self.mistakes(
            "datbase: /x\nlogLevel: loud\npeers: {default: boss}\ntls: {keyFile: /k}", options: [.listen: "x"])
        #expect(mistakes.split(separator: "\n").count == 5)
        #expect(mistakes.contains("--listen: listen: 'x' is not an address"))
    }

    @Test(arguments: [
        ("plain", "plain"), ("two\nlines", "two\\nlines"), ("\u{1B}[2J", "\\u{1B}[2J"), ("é", "é"),
        ("a\u{202E}b", "a\\u{202E}b"), ("\u{2066}", "\\u{2066}"), ("a\u{2028}b", "a\\u{2028}b"),
        ("\u{85}", "\\u{0085}"),
    ])
    func aLogLineIsOneLine(text: String, written: String) throws {
        #expect(LogFormat.text.line(.info, text, [:]).hasSuffix(" info " + written))
        let line = LogFormat.json.line(.info, text, ["key": text])
        let fields = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(fields["message"] == text && fields["key"] == text)
        #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 && ($0.isASCII || $0 == "é") })
    }

    @Test(arguments: [
        ("127.0.0.1:8480", true), ("127.9.9.9:1", true), ("[::1]:8480", true), ("0.0.0.0:8480", false),
        ("[::]:8480", false), ("192.0.2.1:8480", false), ("[2001:db8::1]:8480", false), ("[::ffff:127.0.0.1]:1", false),
    ])
    func onlyThisHostIsServedWithoutTLS(address: String, isLoopback: Bool) throws {
        let text = "listen: '\(address)'"
        #expect(Self.mistakes(text).isEmpty == isLoopback)
        let tls = try Self.read(text + "\ntls: {certificateFile: /c, keyFile: /k, clientAuthorityFile: /a}")
        #expect(tls.listen?.description == address)
        #expect(tls.tls?.clientAuthority == "/a")
    }

    @Test func peersAreReadByNameAndNumber() throws {
        let digits = String(repeating: "ab", count: 32)
        let access = try Self.read(
            """
            peers:
              default: null
              users: {alice: operator, 1000: admin}
              groups: {"27": consumer}
            certificates: {prometheus: viewer, "SHA256:\(digits.uppercased())": operator}
            allowedHosts: [Tapster.example, "[2001:db8::1]"]
            allowedOrigins: ["https://Console.example:8443"]
            """
        ).access
        #expect(access.fallback == nil)
        #expect(access.users.map(\.key) == [.name("alice"), .number(1_000)])
        #expect(access.users.map(\.value) == [.operator, .admin])
        #expect(access.groups.map(\.key) == [.number(27)])
        #expect(access.certificates == [.commonName("prometheus"): .viewer, .fingerprint(digits): .operator])
        #expect(access.hosts.map(\.description).sorted() == ["2001:db8::1", "tapster.example"])
        #expect(access.origins.map(\.description) == ["https://console.example:8443"])
    }

    /// The output can be used as a file, with the same result.
    @Test func theShownSettingsAreAnEquivalentFile() throws {
        let shown = try Self.read(
            """
            database: "/x: #y"
            listen: "[::1]:8480"
            tls: {certificateFile: "/c'", keyFile: "/k\\"\\\\"}
            peers: {default: null, users: {"null": viewer, "0": admin, zoe: consumer}}
            certificates: {"a b": viewer}
            allowedHosts: [a.example, "::1"]
            """
        ).text
        #expect(try Self.read(shown).text.withoutRemarks == shown.withoutRemarks)
        #expect(shown.contains("zoe: consumer") && shown.contains("database: \"/x: #y\"  # \(Self.path):1"))
    }

    /// Checks the file unchanged, and with every commented line enabled.
    @Test func theExampleIsValidAndComplete() throws {
        let path = URL(fileURLWithPath: #filePath).appending(path: "../../../deploy/tapster.yaml").standardizedFileURL
            .path
        let example = try String(contentsOfFile: path, encoding: .utf8)
        #expect(try Self.read(example).text == Self.read("").text)
        let set = example.replacing(#/(?m)^#(?=[a-z]| {2})/#, with: "")
        let configuration = try Self.read(set)
        for setting in Setting.allCases {
            #expect(configuration.settings[setting]?.place.hasPrefix(Self.path) == true, "\(setting)")
            if let fallback = setting.fallback { #expect(configuration.settings[setting]?.value == fallback) }
        }
        let access = configuration.access
        #expect(access.users.count == 2 && access.groups.count == 1 && access.certificates.count == 2)
        #expect(access.hosts.count == 1 && access.origins.count == 1)
        #expect(configuration.tokensFile == TokensFile.defaultPath)
    }

    @Test func theCommandChecksWithoutTouchingAnything() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let file = directory + "/c.yaml"
                try "database: \(directory)/t.db\nlogLevel: debug\n".write(
                    toFile: file, atomically: true, encoding: .utf8)
                let text = try run(
                    "env", "TAPSTER_LOG_LEVEL=error", "TAPSTER_CONFIG=\(file)", Daemon.binary, "check-config",
                    "--socket", "/s")
                #expect(text.contains("database: \(directory)/t.db  # \(file):1\n"))
                #expect(text.contains("logLevel: error  # TAPSTER_LOG_LEVEL\n"))
                #expect(text.contains("socket: /s  # --socket\n"))
                #expect(!FileManager.default.fileExists(atPath: directory + "/t.db"))

                try "sockett: /s\n".write(toFile: file, atomically: true, encoding: .utf8)
                for words in [["check-config"], ["serve", "--database", directory + "/t.db"]] {
                    let output = directory + "/" + words[0]
                    let process = try ChildProcess(Daemon.binary, words + ["--config", file], output: output)
                    #expect(process.wait() == 1)
                    let printed = try String(contentsOfFile: output, encoding: .utf8)
                    #expect(printed.contains("\(file):1: unknown key 'sockett'; did you mean 'socket'?"))
                }
                #expect(!FileManager.default.fileExists(atPath: directory + "/t.db"))

                // The daemon would start, but only root could use its socket.
                try "socketGroup: no-such-group\n".write(toFile: file, atomically: true, encoding: .utf8)
                let output = directory + "/group"
                let process = try ChildProcess(Daemon.binary, ["check-config", "--config", file], output: output)
                #expect(process.wait() == 1)
                let printed = try String(contentsOfFile: output, encoding: .utf8)
                #expect(printed.contains("\(file):1: socketGroup: there is no group 'no-such-group' on this host"))
            }
        }
    }
}

extension String {
    fileprivate func partitioned(_ separator: Character) -> (String, Bool, String) {
        let parts = split(separator: separator, maxSplits: 1).map { String($0) }
        return (parts[0], parts.count > 1, parts.count > 1 ? parts[1] : "")
    }

    fileprivate var withoutRemarks: [Substring] {
        split(separator: "\n").map { line in
            line.range(of: "  # /etc|  # default", options: .regularExpression).map { line[..<$0.lowerBound] } ?? line
        }
    }
}
