import TapSystem
import Foundation
import Glibc
import Synchronization
import TapHTTP
import TestSupport
import Testing

/// Answers with the client's identity; upgrades at `/upgrade`.
private final class Handler: HTTPHandler {
    func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        if request.head.path == "/upgrade" {
            exchange.upgrade(HTTPResponse(status: 101, headers: ["Upgrade": "x"])) { _ in }
        } else if case .network(let peer) = exchange.origin {
            let certificate = peer.certificate
            let words = [
                certificate?.commonName ?? "anonymous", certificate?.fingerprint ?? "", peer.address,
            ]
            exchange.respond(HTTPResponse(status: 200, body: HTTPBody(words.joined(separator: " "))))
        } else {
            exchange.respond(HTTPResponse(status: 200, body: HTTPBody("local \(exchange.peer?.user ?? .max)")))
        }
    }

    func wasCutOff(_ reason: HTTPCutOff) {}

    func refuse(_ rejection: HTTPRejection, _ request: HTTPRequest?, limits: HTTPLimits) -> HTTPResponse {
        HTTPResponse(status: 503)
    }
}

@Suite struct HTTPTLSTests {
    private func withServer(
        authority: Bool = true, _ limits: HTTPLimits = HTTPLimits(),
        _ body: @escaping @Sendable (_ address: String, _ files: Certificates, _ server: HTTPServer) throws -> Void
    ) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let files = try Certificates(in: directory)
                try files.issue("server", purpose: "serverAuth", names: "IP:127.0.0.1")
                let tls = try HTTPTLS(
                    certificates: files.text(files.certificate("server")), key: files.text(files.key("server")),
                    clientAuthorities: authority ? files.text(files.certificate("ca")) : nil)
                let listener = try HTTPListener(tcp: #require(NetworkAddress("127.0.0.1:0")), tls: tls)
                let server = HTTPServer(listener: listener, limits: limits, handler: Handler())
                try server.start()
                defer { server.stop() }
                try body(listener.description, files, server)
            }
        }
    }

    @Test func aClientWithoutACertificateIsAnonymous() async throws {
        try await withServer { address, files, _ in
            let answer = try files.curl("https://\(address)/")
            #expect(answer.hasPrefix("anonymous"), "\(answer)")
            #expect(answer.contains("127.0.0.1:"))
        }
    }

    @Test func aGoodCertificateIsKnownByNameAndFingerprint() async throws {
        try await withServer { address, files, _ in
            try files.issue("robot", purpose: "clientAuth", names: "DNS:robot.test,URI:spiffe://test/robot")
            let words = try files.curl("https://\(address)/", as: "robot").split(separator: " ")
            let fingerprint = try run(
                "openssl", "x509", "-in", files.certificate("robot"), "-noout", "-fingerprint", "-sha256")
            let digits = fingerprint.split(separator: "=")[1].filter(\.isHexDigit).lowercased()
            #expect(words.prefix(2) == ["robot", Substring(digits)])
            // It stays the same for all requests of a connection.
            let url = "https://\(address)/"
            let many = try files.curl(url, as: "robot", url, url)
            #expect(many.components(separatedBy: "robot \(digits)").count == 4, "\(many)")
        }
    }

    /// The handshake fails with a certificate for another purpose, of another authority, or that has expired.
    @Test func aBadCertificateGetsNoAnswer() async throws {
        try await withServer { address, files, _ in
            try files.issue("wrong-purpose", purpose: "serverAuth", names: "DNS:x")
            try files.issue("late", purpose: "clientAuth", names: "DNS:x", days: 0)
            let others = files.directory + "/others"
            try FileManager.default.createDirectory(atPath: others, withIntermediateDirectories: true)
            let otherAuthority = try Certificates(in: others)
            try otherAuthority.issue("unknown", purpose: "clientAuth", names: "DNS:x")
            for name in ["unknown.pem", "unknown.key"] {
                try FileManager.default.copyItem(atPath: "\(others)/\(name)", toPath: "\(files.directory)/\(name)")
            }
            // "late" expires at the time of its issue.
            sleep(2)
            for client in ["wrong-purpose", "late", "unknown"] {
                #expect(throws: TestFailure.self, "\(client)") {
                    try files.curl("https://\(address)/", as: client)
                }
            }
            let answer = try files.curl("https://\(address)/")
            #expect(answer.hasPrefix("anonymous"))
        }
    }

    @Test func withoutAnAuthorityNoCertificateIsRequested() async throws {
        try await withServer(authority: false) { address, files, _ in
            try files.issue("robot", purpose: "clientAuth", names: "DNS:x")
            #expect(try files.curl("https://\(address)/", as: "robot").hasPrefix("anonymous"))
        }
    }

    @Test func oldVersionsOfTLSAreRefused() async throws {
        try await withServer { address, files, _ in
            let answer = try files.curl("https://\(address)/", as: nil, "--tls-max", "1.2")
            #expect(answer.hasPrefix("anonymous"))
            #expect(throws: TestFailure.self) {
                try files.curl("https://\(address)/", as: nil, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
            }
        }
    }

    @Test func plainHTTPGetsNoAnswer() async throws {
        try await withServer { address, files, _ in
            #expect(throws: TestFailure.self) { try files.curl("http://\(address)/") }
        }
    }

    @Test func upgradesAreRefused() async throws {
        try await withServer { address, files, _ in
            #expect(throws: TestFailure.self) { try files.curl("https://\(address)/upgrade") }
            let answer = try files.curl("https://\(address)/")
            #expect(answer.hasPrefix("anonymous"))
        }
    }

    /// Neither an idle handshake nor one with a byte now and then stays open.
    @Test func anUnfinishedHandshakeIsCutOff() async throws {
        var limits = HTTPLimits()
        limits.headerSecondsMax = 2
        try await withServer(limits) { address, files, server in
            let port = try #require(UInt16(address.split(separator: ":")[1]))
            let client = try HTTPClient(port: port)
            // The start of a handshake record of 16,384 bytes (RFC 8446, section 5.1).
            try client.write("\u{16}\u{3}\u{1}\u{40}\u{0}\u{1}")
            #expect(throws: TestFailure.self) {
                for _ in 0..<200 {
                    try client.write("a")
                    usleep(100_000)
                }
            }
            #expect(server.overdueConnections == 1)
            let answer = try files.curl("https://\(address)/")
            #expect(answer.hasPrefix("anonymous"))
        }
    }

    @Test func invalidPEMIsRefusedAtOnce() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let files = try Certificates(in: directory)
                try files.issue("server", purpose: "serverAuth", names: "IP:127.0.0.1")
                try files.issue("other", purpose: "serverAuth", names: "IP:127.0.0.1")
                let good = try files.text(files.certificate("server"))
                let key = try files.text(files.key("server"))
                for (certificate, key, authority) in [
                    ("", key, nil), (good, "", nil), ("rubbish", key, nil), (good, "rubbish", nil),
                    (good, try files.text(files.key("other")), nil), (good, key, "rubbish"), (good, key, ""),
                ] {
                    let error = #expect(throws: HTTPServerError.self) {
                        try HTTPTLS(certificates: certificate, key: key, clientAuthorities: authority)
                    }
                    #expect(error?.description.contains("PEM") == true, "\(error?.description ?? "")")
                    #expect(error?.description.contains("BEGIN") == false)
                }
                let tls = try HTTPTLS(certificates: good, key: key)
                #expect(!"\(tls)".contains("KEY"))
                var dumped = ""
                dump(tls, to: &dumped)
                #expect(!dumped.contains("KEY"))
            }
        }
    }

    @Test(arguments: ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:80", "[::]:80"])
    func anAddressIsWrittenAsItIsRead(address: String) throws {
        #expect(NetworkAddress(address)?.description == address)
    }

    @Test(arguments: ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "localhost:80", ":80", "a.b:1"])
    func anInvalidAddressIsRefused(text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test func theUnixSocketReportsTheProcess() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let server = HTTPServer(
                    listener: try HTTPListener(unix: directory + "/s", group: nil), handler: Handler())
                try server.start()
                defer { server.stop() }
                let answer = try HTTPClient(socket: directory + "/s").send("GET", "/")
                #expect(answer.text == "local \(getuid())")
            }
        }
    }
}
