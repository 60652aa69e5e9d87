import Foundation
import Glibc
import TestSupport
import Testing

/// Clients that connect and say nothing exclude no others from the real daemon.
@Suite(.privileged) struct SilentClientTests {
    private static let port: UInt16 = 8_480
    private static let silentOfEach = 30
    private static let requests = 60

    private func withListeningDaemon(
        _ host: String, _ body: @escaping @Sendable (_ daemon: Daemon, _ token: String) throws -> Void
    ) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                try run("ip", "link", "set", "lo", "up")
                let tokens = directory + "/tokens.yaml"
                let said = try run(
                    Daemon.binary, ["token", "create", "ci", "--role", "viewer", "--file", tokens])
                let token = try #require(said.split(separator: "\n").first { $0.hasPrefix("tap_") }.map(String.init))
                let address = host.contains(":") ? "[\(host)]:\(Self.port)" : "\(host):\(Self.port)"
                let daemon = try Daemon(directory: directory, options: ["--listen", address, "--tokens-file", tokens])
                defer { daemon.kill() }
                try body(daemon, token)
            }
        }
    }

    private static func expectServed(_ token: String, at host: String, from source: String) throws {
        for _ in 0..<requests {
            let client = try HTTPClient(port: port, at: host, from: source)
            let answer = try client.send("GET", "/v1/devices", headers: ["Authorization": "Bearer \(token)"])
            #expect(answer.status == 200)
        }
    }

    /// 600 connections from 20 addresses of each kind; the daemon has 512 places.
    @Test(arguments: ["IPv4", "one IPv6 network", "IPv6 networks"])
    func othersAreServedBesideSilentClients(kind: String) async throws {
        let host = kind == "IPv4" ? "127.0.0.1" : "::1"
        let sources = (2..<22).map { number in
            switch kind {
            case "IPv4": "127.0.0.\(number)"
            case "one IPv6 network": "2001:db8::\(number)"
            default: "2001:db8:0:\(number)::1"
            }
        }
        let other = kind == "IPv4" ? "127.0.1.1" : "2001:db8:1::1"
        try await withListeningDaemon(host) { daemon, token in
            if host == "::1" {
                let commands = (sources + [other]).map { "address add \($0)/128 dev lo nodad\n" }.joined()
                try commands.write(toFile: daemon.directory + "/batch", atomically: true, encoding: .utf8)
                try run("ip", "-batch", daemon.directory + "/batch")
            }
            let user = try HTTPClient(port: Self.port, at: host, from: other)
            let headers = ["Authorization": "Bearer \(token)"]
            #expect(try user.send("GET", "/v1/devices", headers: headers).status == 200)
            var silent: [HTTPClient] = []
            for _ in 0..<Self.silentOfEach {
                for source in sources { silent.append(try HTTPClient(port: Self.port, at: host, from: source)) }
            }
            try Self.expectServed(token, at: host, from: other)
            // An idle connection of an authenticated client is still open.
            #expect(try user.send("GET", "/v1/devices", headers: headers).status == 200)
            // A wrong token does not authenticate.
            for client in silent.suffix(20) {
                let wrong = ["Authorization": "Bearer tap_wrong"]
                if let answer = try? client.send("GET", "/v1/devices", headers: wrong) { #expect(answer.status == 401) }
            }
            try Self.expectServed(token, at: host, from: other)
            let displaced = try daemon.metric(#"tapster_http_rejected_total{reason="displaced"}"#)
            #expect(displaced.flatMap(Double.init) ?? 0 > 0)
        }
    }

    /// The same on the Unix socket, where the kernel tells users apart.
    @Test func usersOfTheSocketDoNotExcludeOthers() async throws {
        try await withDaemon { (daemon) throws in
            chmod(daemon.directory, 0o755)
            var silent: [HTTPClient] = []
            for user: UInt32 in [64_301, 64_302, 64_303] {
                try asUser(user, 0) {
                    for _ in 0..<250 { silent.append(try HTTPClient(socket: daemon.socket)) }
                }
            }
            try asUser(64_304, 0) { () throws in
                for _ in 0..<Self.requests { #expect(try daemon.send("GET", "/v1/devices").status == 200) }
            }
            // Also one of those who have been silent, on a new connection.
            try asUser(64_301, 0) { () throws in #expect(try daemon.send("GET", "/v1/devices").status == 200) }
            _ = silent
        }
    }
}
