import Foundation
import Glibc
import TestSupport
import Testing

/// Access to the real daemon, configured by files, and how it applies changes of them.
@Suite(.privileged) struct AccessDaemonTests {
    /// A daemon that is configured by its file only.
    private final class Served {
        let directory: String
        let process: ChildProcess
        var socket: String { directory + "/s" }
        var tokens: String { directory + "/tokens.yaml" }
        var configuration: String { directory + "/tapster.yaml" }
        var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

        static let port: UInt16 = 8_480

        init(_ directory: String, _ settings: String, tokens: String = "tokens: []\n") throws {
            self.directory = directory
            let path = directory + "/tapster.yaml"
            try Self.write(Self.file(directory, settings), path)
            try Self.write(tokens, directory + "/tokens.yaml")
            chmod(directory + "/tokens.yaml", 0o640)
            try run("ip", "link", "set", "lo", "up")
            process = try ChildProcess(
                Daemon.binary, ["serve", "--config", path], output: directory + "/log")
            let socket = directory + "/s"
            try eventually("the daemon is ready", within: 30) {
                guard process.isRunning else { throw TestFailure("it ended with \(process.wait()): \(log)") }
                return (try? HTTPClient(socket: socket).send("GET", "/readyz").status) == 200
            }
        }

        deinit {
            process.signal(SIGKILL)
            process.wait()
        }

        static func write(_ text: String, _ path: String) throws {
            try text.write(toFile: path, atomically: false, encoding: .utf8)
        }

        private static func file(_ directory: String, _ settings: String) -> String {
            """
            database: \(directory)/t.db
            socketGroup: "0"
            tokensFile: \(directory)/tokens.yaml
            \(settings.contains("socket:") ? "" : "socket: \(directory)/s\n")\(settings)
            """
        }

        /// Replaces the configuration file, which is read again only at SIGHUP.
        func configure(_ settings: String) throws { try Self.write(Self.file(directory, settings), configuration) }

        /// Sends SIGHUP and waits until the log confirms the reload.
        func reload(saying text: String) throws {
            let before = log.components(separatedBy: text).count
            process.signal(SIGHUP)
            try eventually("it says '\(text)'") { log.components(separatedBy: text).count > before }
        }

        func status(_ token: String?) throws -> Int {
            try HTTPClient(port: Self.port).send(
                "GET", "/v1/devices", headers: token.map { ["Authorization": "Bearer \($0)"] } ?? [:]
            ).status
        }

        /// - Returns: The token in the command's output.
        func create(_ name: String, _ role: String, _ more: String...) throws -> String {
            let said = try run(
                Daemon.binary, ["token", "create", name, "--role", role, "--config", configuration] + more)
            return try #require(said.split(separator: "\n").first { $0.hasPrefix("tap_") }.map { String($0) })
        }
    }

    private func withDirectory(_ body: @escaping @Sendable (String) throws -> Void) async throws {
        try await inNamespace { try withTemporaryDirectory(body) }
    }

    private static let readAgain = "configuration reloaded"
    private static let stays = "configuration not reloaded"

    @Test func tokensComeAndGoWhileItRuns() async throws {
        try await withDirectory { directory in
            let served = try Served(directory, "listen: 127.0.0.1:8480\nlogLevel: debug")
            #expect(try served.status(nil) == 401)
            let first = try served.create("first", "viewer")
            #expect(first.utf8.count == 4 + 43)
            // Unknown until a reload.
            #expect(try served.status(first) == 401)
            try eventually("the log says so") { served.log.contains("refused code=UNAUTHENTICATED") }
            try served.reload(saying: Self.readAgain)
            #expect(try served.status(first) == 200)

            let second = try served.create("second", "operator", "--expires", "90d")
            let open = try HTTPClient(port: Served.port)
            func openStatus() throws -> Int {
                try open.send("GET", "/v1/devices", headers: ["Authorization": "Bearer \(first)"]).status
            }
            #expect(try openStatus() == 200)
            try run(Daemon.binary, "token", "revoke", "first", "--config", served.configuration)
            try served.reload(saying: Self.readAgain)
            #expect(try served.status(first) == 401)
            #expect(try openStatus() == 401)
            #expect(try served.status(second) == 200)
            #expect(try served.status(second + "x") == 401)

            // `Host` and `Origin` are checked in the daemon as in the service.
            let client = try HTTPClient(port: Served.port)
            try client.write(
                "GET /v1/devices HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer \(second)\r\n\r\n")
            #expect(try client.readAnswer().status == 421)

            // Its open watch ends too, with the reason.
            let watching = try served.create("watching", "viewer")
            try served.reload(saying: Self.readAgain)
            let stream = try WatchStream(port: Served.port, headers: ["Authorization": "Bearer \(watching)"])
            #expect(try stream.next()?.type == "BOOKMARK")
            try run(Daemon.binary, "token", "revoke", "watching", "--config", served.configuration)
            try served.reload(saying: Self.readAgain)
            let last = try stream.next()
            #expect(last?.type == "ERROR")
            #expect(last?.object["code"] as? String == "UNAUTHENTICATED")
            #expect(try stream.next() == nil)
            #expect(stream.isComplete)

            let expired = try served.create("brief", "admin", "--expires", "5s")
            try served.reload(saying: Self.readAgain)
            let brief = try WatchStream(port: Served.port, headers: ["Authorization": "Bearer \(expired)"])
            #expect(try brief.next()?.type == "BOOKMARK")
            // With the next bookmark at the latest.
            #expect(try brief.next()?.type == "ERROR")
            try eventually("it has expired") { try served.status(expired) == 401 }

            let list = try run(Daemon.binary, "token", "list", "--file", served.tokens)
            #expect(list.contains("second  operator") && list.contains("(expired)") && !list.contains("first"))
            let file = try String(contentsOfFile: served.tokens, encoding: .utf8)
            for token in [first, second, expired] {
                for text in [served.log, file, list] { #expect(!text.contains(token.dropFirst(4))) }
            }
        }
    }

    @Test func aWrongFileIsReportedAndChangesNothing() async throws {
        try await withDirectory { directory in
            let good = "listen: 127.0.0.1:8480\nlogLevel: info"
            let served = try Served(directory, good)
            let token = try served.create("ci", "viewer")
            try served.reload(saying: Self.readAgain)
            #expect(try served.status(token) == 200)

            chmod(served.tokens, 0o644)
            try served.reload(
                saying: "other users can read or change it (its mode is 0644); chmod 0640 \(served.tokens)")
            #expect(try served.status(token) == 200)
            chmod(served.tokens, 0o640)
            chown(served.tokens, 64_001, 0)
            try served.reload(saying: "its owner is user 64001, but must be root or the daemon's own user")
            chown(served.tokens, 0, 0)
            try served.configure(good + "\npeers: {default: boss}\nlisten2: x")
            try served.reload(saying: "'boss' is not a role")
            #expect(served.log.contains("tapster.yaml:8: unknown key 'listen2'; did you mean 'listen'?"))
            #expect(try served.status(token) == 200)

            // Settings that need a restart are named; the rest of the file takes effect.
            try served.configure(
                "listen: 127.0.0.1:8481\nsocket: \(directory)/t\nlogLevel: info\npeers: {default: null}")
            try served.reload(saying: "changed settings need a restart")
            #expect(served.log.contains("settings=socket, listen\n"))
            #expect(try served.status(token) == 200)
            #expect(!served.log.contains(token.dropFirst(4)))
        }
    }

    @Test func rolesAndTheLogsLevelChangeWhileItRuns() async throws {
        try await withDirectory { directory in
            let served = try Served(directory, "logLevel: info")
            #expect(chmod(served.socket, 0o666) == 0)
            func status(_ user: UInt32, _ method: String = "GET") throws -> Int {
                try asUser(user, 64_001) { try HTTPClient(socket: served.socket) }
                    .send(method, "/v1/devices/nothing").status
            }
            // 404 is answered only if the role may know that the device does not exist.
            #expect(try status(64_002) == 404)
            #expect(try status(64_002, "DELETE") == 403)
            try served.configure("logLevel: info\npeers: {default: null, users: {64002: operator, nosuchuser: admin}}")
            try served.reload(saying: Self.readAgain)
            #expect(served.log.contains("there is no user 'nosuchuser'"))
            #expect(try status(64_002, "DELETE") == 404)
            #expect(try status(64_003) == 403)

            try served.configure("logLevel: error\npeers: {users: {64003: viewer}}")
            let before = served.log
            do {
                served.process.signal(SIGHUP)
                try eventually("the roles changed") { try status(64_003) == 404 && status(64_002, "DELETE") == 403 }
            }
            // The level `error` suppresses the message about the reload, but not errors.
            try served.configure("logLevel: loud")
            try served.reload(saying: Self.stays)
            #expect(!served.log.dropFirst(before.count).contains(Self.readAgain))
        }
    }

    /// A waiting request is answered, idle connections are closed, and the daemon ends.
    @Test func itStopsDuringRequests() async throws {
        try await withDirectory { directory in
            let served = try Served(directory, "listen: 127.0.0.1:8480")
            try run("ip", "tuntap", "add", "dev", "web0", "mode", "tap")
            let waiting = try HTTPClient(socket: served.socket)
            let body = #"{"spec": {}}"#
            try waiting.write(
                "PUT /v1/devices/web0?wait=300s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            try eventually("it is declared") {
                try HTTPClient(socket: served.socket).send("GET", "/v1/devices/web0").status == 200
            }
            let idle = try (0..<20).map { number in
                try number % 2 == 0 ? HTTPClient(socket: served.socket) : HTTPClient(port: Served.port)
            }
            // Some connections have sent half of a request.
            for client in idle.prefix(6) { try client.write("GET /v1/dev") }
            let start = ContinuousClock.now
            served.process.signal(SIGTERM)
            #expect(try waiting.readAnswer().status == 202)
            #expect(served.process.wait() == 0)
            // The goal is two seconds; a busy machine gets more.
            #expect(start.duration(to: .now) < .seconds(8))
            _ = idle
        }
    }

    @Test func certificatesComeInByTLS() async throws {
        try await withDirectory { directory in
            let files = try Certificates(in: directory)
            try files.issue("server", purpose: "serverAuth", names: "IP:127.0.0.1,DNS:tapster.test")
            try files.issue("robot", purpose: "clientAuth", names: "DNS:robot.test")
            chmod(files.key("server"), 0o600)
            let settings = """
                listen: 0.0.0.0:8480
                tls:
                  certificateFile: \(files.certificate("server"))
                  keyFile: \(files.key("server"))
                  clientAuthorityFile: \(files.certificate("ca"))
                certificates: {robot: operator}
                allowedHosts: [tapster.test]
                logLevel: debug
                """
            let served = try Served(directory, settings)
            let url = "https://127.0.0.1:8480/v1/devices"
            #expect(try files.curl(url, as: "robot").hasPrefix("{"))
            #expect(try files.curl(url).contains("UNAUTHENTICATED"))
            #expect(try files.curl(url, as: "robot", "--header", "Host: tapster.test").contains("items"))
            #expect(try files.curl(url, as: "robot", "--header", "Host: evil.test").contains("MISDIRECTED"))
            let token = try served.create("ci", "viewer")
            try served.reload(saying: Self.readAgain)
            #expect(try files.curl(url, as: nil, "--header", "Authorization: Bearer \(token)").contains("items"))
            #expect(
                try files.curl("\(url)/web0", as: nil, "--header", "Authorization: Bearer \(token)", "-X", "DELETE")
                    .contains("FORBIDDEN"))
            let key = try files.text(files.key("server")).split(separator: "\n")[1]
            #expect(!served.log.contains(key) && !served.log.contains(token.dropFirst(4)))
        }
    }

    @Test func unsafeSettingsDoNotStart() async throws {
        try await withDirectory { directory in
            let files = try Certificates(in: directory)
            try files.issue("server", purpose: "serverAuth", names: "IP:127.0.0.1")
            func refusal(_ words: String...) throws -> String {
                let output = directory + "/said"
                unlink(output)
                let process = try ChildProcess(
                    Daemon.binary,
                    ["serve", "--database", directory + "/t.db", "--socket", directory + "/s", "--socket-group", "0"]
                        + words,
                    output: output)
                #expect(process.wait() == 1)
                return try String(contentsOfFile: output, encoding: .utf8)
            }
            #expect(
                try refusal("--listen", "0.0.0.0:8480").contains("--listen: listen: other hosts can reach"))
            #expect(try refusal("--listen", "[::]:8480").contains("set tls.certificateFile"))
            #expect(
                try refusal("--listen", "127.0.0.1:8480", "--tokens-file", directory + "/none").contains(
                    "cannot be opened"))
            let tls = ["--tls-certificate-file", files.certificate("server"), "--tls-key-file", files.key("server")]
            chmod(files.key("server"), 0o644)
            #expect(try refusal("--listen", "127.0.0.1:8480", tls[0], tls[1], tls[2], tls[3]).contains("chmod 0640"))
            chmod(files.key("ca"), 0o600)
            #expect(
                try refusal("--listen", "127.0.0.1:8480", tls[0], tls[1], tls[2], files.key("ca"))
                    .contains("match each other"))
        }
    }

    @Test func tokensAreMadeOneByOne() async throws {
        try await withDirectory { directory in
            let path = directory + "/new/tokens.yaml"
            func token(_ words: String...) throws -> (status: Int32, said: String) {
                let output = directory + "/said-\(UInt32.random(in: 0 ... .max))"
                let status = try ChildProcess(Daemon.binary, ["token"] + words + ["--file", path], output: output)
                    .wait()
                return (status, try String(contentsOfFile: output, encoding: .utf8))
            }
            let many = try (0..<12).map { number in
                try ChildProcess(
                    Daemon.binary, ["token", "create", "t\(number)", "--role", "viewer", "--file", path])
            }
            for process in many { #expect(process.wait() == 0) }
            let list = try token("list").said
            for number in 0..<12 { #expect(list.contains("t\(number) ")) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/new") == ["tokens.yaml"])
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)

            for (words, said) in [
                (["create", "t3", "--role", "admin"], "the token 't3' already exists"),
                (["create", "a b", "--role", "admin"], "'a b' is not a token name"),
                (["create", "x", "--role", "root"], "'root' is not a role; the roles are viewer, consumer"),
                (["create", "x", "--role", "admin", "--expires", "soon"], "'soon' is not a duration"),
                (["create", "x", "--role", "admin", "--expires", "0s"], "'0s' is not a lifetime"),
                (["revoke", "x"], "there is no token 'x'"),
            ] {
                let output = directory + "/refused"
                unlink(output)
                let process = try ChildProcess(Daemon.binary, ["token"] + words + ["--file", path], output: output)
                #expect(process.wait() == 1)
                #expect(try String(contentsOfFile: output, encoding: .utf8).contains(said), "\(words)")
            }
            // A change keeps the file's owner and mode.
            chmod(path, 0o600)
            chown(path, 64_001, 64_002)
            #expect(try token("revoke", "t3").status == 0)
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(status.st_uid == 64_001 && status.st_gid == 64_002)
            #expect(try !token("list").said.contains("t3 "))
        }
    }
}
