import TapSystem
import Foundation
import Glibc
import TapCore
import TapDocument
import TapHTTP
import TestSupport
import Testing
import Yams

@testable import TapAPI
@testable import TapEngine

/// Permissions of every route, for each role and each listener.
@Suite struct AccessTests {
    /// The callers of each route: `guest` for all, or the first letters of the roles that may call it.
    private static let table: [String: String] = [
        "GET /livez": "guest", "GET /readyz": "guest", "GET /metrics": "vcoa",
        "GET /version": "guest", "GET /openapi.yaml": "guest", "GET /openapi.json": "guest",
        "GET /v1/devices": "vcoa", "POST /v1/devices": "oa",
        "GET /v1/devices/{name}": "vcoa", "PUT /v1/devices/{name}": "oa", "PATCH /v1/devices/{name}": "oa",
        "DELETE /v1/devices/{name}": "oa",
        "GET /v1/devices/{name}/queues": "vcoa", "GET /v1/devices/{name}/queues/{index}": "vcoa",
        "PATCH /v1/devices/{name}/queues/{index}": "oa",
        "GET /v1/devices/{name}/queues/{index}/assignment": "vcoa",
        "PUT /v1/devices/{name}/queues/{index}/assignment": "oa",
        "DELETE /v1/devices/{name}/queues/{index}/assignment": "oa",
        "POST /v1/devices/{name}/assignments": "oa", "GET /v1/assignments": "vcoa",
        "GET /v1/devices/{name}/lease": "ca",
        "GET /v1/leases": "vcoa", "GET /v1/leases/{id}": "vcoa", "DELETE /v1/leases/{id}": "oa",
        "POST /v1/apply": "oa", "POST /v1/apply/{revision}/confirm": "oa", "DELETE /v1/apply/{revision}": "oa",
        "GET /v1/revisions": "vcoa", "GET /v1/revisions/{revision}": "vcoa",
        "POST /v1/revisions/{revision}/rollback": "oa",
        "GET /v1/drift": "vcoa", "POST /v1/reconcile": "oa",
        "GET /v1/unmanaged": "vcoa", "POST /v1/unmanaged/{name}/adopt": "oa",
        "GET /v1/events": "vcoa", "POST /v1/backup": "a", "GET /v1/watch": "vcoa",
    ]

    private static let lease = "GET /v1/devices/{name}/lease"

    /// Whether a caller with these roles may call the route; a guest has no letters.
    private static func isAllowed(_ route: String, _ letters: String) -> Bool {
        guard let rule = table[route] else { return false }
        return rule == "guest" || letters.contains { rule.contains($0) }
    }

    /// A request that changes nothing: an authorized one is refused for its unknown parameter.
    private static func request(_ route: String) -> (method: String, target: String) {
        let words = route.split(separator: " ")
        let path = String(words[1]).replacing("{name}", with: "web0").replacing("{index}", with: "0")
            .replacing("{revision}", with: "1").replacing("{id}", with: "x")
        return (String(words[0]), path + "?no-such-parameter")
    }

    /// The result: whether the request was allowed, forbidden or unauthenticated.
    private static func verdict(_ answer: Answer) -> String {
        guard answer.status != 401 || answer.headers["www-authenticate"]?.hasPrefix("Bearer ") == true else {
            return "401 without a challenge"
        }
        return verdict(answer.status, answer.text)
    }

    private static func verdict(_ status: Int, _ problem: String) -> String {
        let codes = [400: "INVALID_PARAMETER", 401: "UNAUTHENTICATED", 403: "FORBIDDEN"]
        guard let code = codes[status], problem.contains("\"\(code)\"") else { return "\(status) \(problem)" }
        return [400: "in", 401: "unknown"][status] ?? "forbidden"
    }

    private static func check(_ routes: [String], _ who: String, _ letters: String?, _ ask: (String) throws -> String)
        throws
    {
        for route in routes {
            let expected = letters.map { isAllowed(route, $0) ? "in" : "forbidden" } ?? "unknown"
            let found = try ask(route)
            #expect(found == expected, "\(route) by \(who)")
        }
    }

    @Test func theTableNamesEveryRoute() async throws {
        try await withWorld { (world) throws in
            #expect(Set(world.routes) == Set(Self.table.keys))
        }
    }

    /// The contract has the permission of each route, and its responses for refusals.
    @Test func theContractNamesEachPermission() async throws {
        try await withWorld { (world) throws in
            let yaml = try #require(
                try Yams.load(yaml: String(decoding: OpenAPIDocument.yaml, as: UTF8.self)) as? [String: Any])
            let paths = try #require(yaml["paths"] as? [String: [String: Any]])
            for route in (world.service.api as? RoutedHandler)?.router.routes ?? [] {
                let operation = try #require(paths[route.pattern]?[route.method.lowercased()] as? [String: Any])
                #expect(operation["x-permission"] as? String == "\(route.permission)", "\(route.pattern)")
                let responses = try #require(operation["responses"] as? [String: Any])
                for status in ["401", "403", "421"] { #expect(responses[status] != nil, "\(route.pattern)") }
            }
        }
    }

    // MARK: The Unix socket

    private static let peers = AccessPolicy.Peers(
        fallback: .viewer,
        users: [
            64_002: [.consumer], 64_003: [.operator], 64_004: [.admin], 64_005: [.consumer, .operator],
            64_006: [.viewer],
        ],
        groups: [64_102: [.consumer], 64_103: [.operator], 64_104: [.admin]])

    /// Credentials, and the roles that result.
    private static let processes: [(user: UInt32, group: UInt32, groups: [UInt32], roles: String)] = [
        (0, 0, [], "a"), (64_001, 64_001, [], "v"), (64_002, 64_001, [], "c"), (64_003, 64_001, [], "o"),
        (64_004, 64_001, [], "a"), (64_005, 64_001, [], "co"),
        (64_001, 64_102, [], "c"), (64_001, 64_001, [9, 64_103], "o"), (64_001, 64_001, [64_104, 9], "a"),
        (64_001, 64_102, [64_103], "co"), (64_006, 64_001, [64_103], "vo"),
        // Group IDs do not match rules for users, and vice versa.
        (64_102, 64_001, [], "v"), (64_001, 64_002, [64_003], "v"),
    ]

    @Test(.privileged) func processesHaveThePermissionsOfTheirUserAndGroups() async throws {
        try await withWorld(access: AccessPolicy(peers: Self.peers)) { (world) throws in
            #expect(chmod(world.socket, 0o666) == 0)
            let routes = world.routes.filter { $0 != Self.lease }
            for process in Self.processes {
                let client = try asUser(process.user, process.group, process.groups) {
                    try HTTPClient(socket: world.socket)
                }
                try Self.check(routes, "\(process)", process.roles) { route in
                    let (method, target) = Self.request(route)
                    return Self.verdict(try client.send(method, target))
                }
            }
        }
    }

    @Test(.privileged) func peersWithoutARoleMayOnlyUseOpenRoutes() async throws {
        let peers = AccessPolicy.Peers(fallback: nil, users: [64_006: [.viewer]])
        try await withWorld(access: AccessPolicy(peers: peers)) { (world) throws in
            #expect(chmod(world.socket, 0o666) == 0)
            let routes = world.routes.filter { $0 != Self.lease }
            for (user, roles) in [(UInt32(64_001), ""), (64_006, "v")] {
                let client = try asUser(user, 64_001) { try HTTPClient(socket: world.socket) }
                try Self.check(routes, "\(user)", roles) { route in
                    let (method, target) = Self.request(route)
                    return Self.verdict(try client.send(method, target))
                }
            }
        }
    }

    /// A role or ownership of the device allows a lease; others get 403.
    @Test(.privileged) func queuesAreForRolesAndOwners() async throws {
        try await withWorld(access: AccessPolicy(peers: Self.peers)) { (world) throws in
            #expect(chmod(world.socket, 0o666) == 0)
            try world.state("web0", queues: 1)
            let owned = try world.send(
                "PUT", "/v1/devices/web1?wait=5s", #"{"spec": {"owner": 64201, "group": 64202}}"#)
            #expect(owned.status == 201)
            func mayLease(_ device: String, _ user: UInt32, _ group: UInt32, _ groups: [UInt32]) throws -> Bool {
                let client = try asUser(user, group, groups) { try HTTPClient(socket: world.socket) }
                let answer = try client.send(
                    "GET", "/v1/devices/\(device)/lease",
                    headers: ["Connection": "Upgrade", "Upgrade": LeaseMessage.protocolName])
                #expect(answer.status != 403 || answer["code"] as? String == "LEASE_FORBIDDEN")
                return answer.status != 403
            }
            for process in Self.processes {
                let (user, group, groups, roles) = process
                #expect(
                    try mayLease("web0", user, group, groups) == Self.isAllowed(Self.lease, roles), "\(process)")
            }
            for (user, group, groups) in [(UInt32(64_201), UInt32(9), [UInt32]()), (9, 64_202, []), (9, 9, [64_202])] {
                #expect(try mayLease("web1", user, group, groups))
                #expect(try !mayLease("web0", user, group, groups))
            }
            #expect(try !mayLease("web1", 64_202, 64_201, []))
        }
    }

    // MARK: TCP

    private static func token(_ name: String, _ role: Role, _ secret: String, expires: Timestamp? = nil) throws
        -> AccessToken
    {
        AccessToken(
            name: try TokenName(name), role: role, digest: TokenDigest(of: secret), createdAt: .now(),
            expiresAt: expires)
    }

    private static let secrets = Role.allCases.map { ($0, AccessToken.secret()) }

    private static func withServer(
        _ world: World, _ address: String = "127.0.0.1:0", tls: HTTPTLS? = nil, _ body: (UInt16) throws -> Void
    ) throws {
        let listener = try HTTPListener(tcp: #require(NetworkAddress(address)), tls: tls)
        let server = HTTPServer(listener: listener, handler: world.service.api)
        try server.start()
        defer { server.stop() }
        try body(try #require(UInt16(listener.description.split(separator: ":").last ?? "")))
    }

    private static func policy(_ more: [AccessToken] = [], certificates: [CertificateName: Role] = [:]) throws
        -> AccessPolicy
    {
        AccessPolicy(
            tokens: try secrets.map { try token($0.rawValue, $0, $1) } + more, certificates: certificates,
            hosts: AllowedHosts([try HostName("localhost"), try HostName("127.0.0.1"), try HostName("[::1]")]),
            origins: [try WebOrigin("https://console.example")])
    }

    @Test func tokensHaveThePermissionsOfTheirRole() async throws {
        let policy = try Self.policy()
        try await withWorld(access: policy) { (world) throws in
            try Self.withServer(world) { port in
                // One connection each: it is closed after a 401.
                func ask(_ route: String, _ authorization: String?) throws -> String {
                    let (method, target) = Self.request(route)
                    return Self.verdict(
                        try HTTPClient(port: port).send(
                            method, target, headers: authorization.map { ["Authorization": $0] } ?? [:]))
                }
                for (role, secret) in Self.secrets {
                    try Self.check(world.routes, "token \(role)", String(role.rawValue.prefix(1))) {
                        try ask($0, "Bearer \(secret)")
                    }
                }
                try Self.check(world.routes, "no token", nil) { try ask($0, nil) }
                try Self.check(world.routes, "unknown token", nil) { try ask($0, "Bearer \(AccessToken.secret())") }
                // Also for unknown paths, so that unauthenticated callers cannot discover routes.
                #expect(try ask("GET /nothing", nil) == "unknown")
                #expect(try HTTPClient(port: port).send("PUT", "/v1/drift").status == 401)
                let lease = try HTTPClient(port: port).send(
                    "GET", "/v1/devices/web0/lease", headers: ["Authorization": "Bearer \(Self.secrets[3].1)"])
                #expect(lease["code"] as? String == "UNIX_SOCKET_REQUIRED")
            }
        }
    }

    @Test func onlyTheExactTokenIsAccepted() async throws {
        let now = Timestamp.now()
        let expired = AccessToken.secret()
        let valid = AccessToken.secret()
        let policy = try Self.policy([
            Self.token("over", .admin, expired, expires: now.advanced(by: .seconds(-1))),
            Self.token("soon", .admin, valid, expires: now.advanced(by: .seconds(3_600))),
        ])
        try await withWorld(access: policy) { (world) throws in
            try Self.withServer(world) { port in
                func status(_ authorization: String, _ client: HTTPClient? = nil) throws -> Int {
                    try (client ?? HTTPClient(port: port)).send(
                        "GET", "/v1/devices", headers: ["Authorization": authorization]
                    ).status
                }
                for good in ["Bearer \(valid)", "bearer \(valid)", "BEARER  \(valid)"] {
                    #expect(try status(good) == 200, "\(good)")
                }
                let digest = TokenDigest(of: valid).hexadecimal
                for bad in [
                    "Bearer \(expired)", valid, "Bearer", "Basic \(valid)", "Bearer \(valid)x",
                    "Bearer \(valid.dropLast())",
                    "Bearer \(valid) \(valid)", "Bearer \(digest)", "Bearer \(valid.uppercased())", "Bearer \(valid),",
                ] {
                    #expect(try status(bad) == 401, "\(bad)")
                }
                let refused = try HTTPClient(port: port).send(
                    "GET", "/v1/devices", headers: ["Authorization": "Bearer \(expired)"])
                #expect(refused.text.contains("'over' has expired"))
                #expect(refused.headers["www-authenticate"] == #"Bearer realm="tapster", error="invalid_token""#)
                // The answer does not contain the token.
                #expect(!refused.text.contains(expired))
                // Takes effect with the next request, also on an open connection.
                let open = try HTTPClient(port: port)
                #expect(try status("Bearer \(valid)", open) == 200)
                world.service.replaceAccess(AccessPolicy(hosts: AllowedHosts([try HostName("localhost")])))
                #expect(try status("Bearer \(valid)", open) == 401)
                #expect(try world.metric("tapster_http_rejected_total", "unauthenticated") == 12)
            }
        }
    }

    /// Buffered bodies share one limit, which unauthenticated clients could use up.
    @Test func anUnauthenticatedBodyIsNotRead() async throws {
        let policy = try Self.policy()
        try await withWorld(access: policy) { (world) throws in
            try Self.withServer(world) { port in
                for (field, status) in [("Host: localhost", 401), ("Host: evil.example", 421)] {
                    let client = try HTTPClient(port: port)
                    try client.write(
                        "POST /v1/apply HTTP/1.1\r\n\(field)\r\nContent-Type: application/json\r\n"
                            + "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
                    // Answered before any byte of the body.
                    #expect(try client.readAnswer().status == status)
                }
            }
        }
    }

    @Test func aWriteIsRecordedUnderTheTokensName() async throws {
        let policy = try Self.policy()
        try await withWorld(access: policy) { (world) throws in
            try Self.withServer(world) { port in
                let answer = try HTTPClient(port: port).send(
                    "PUT", "/v1/devices/web0",
                    headers: ["Authorization": "Bearer \(Self.secrets[2].1)", "Content-Type": "application/json"],
                    body: "{}")
                #expect(answer.status == 201)
                let change = try world.send("GET", "/v1/revisions")
                #expect(change["items", "0", "actor"] as? String == "token:operator")
                #expect((change["items", "0", "source"] as? String)?.hasPrefix("127.0.0.1:") == true)
            }
            #expect(try world.send("DELETE", "/v1/devices/web0").status == 202)
            let change = try world.send("GET", "/v1/revisions?limit=1")
            #expect(change["items", "0", "actor"] as? String == "uid:\(geteuid())")
            #expect(change["items", "0", "source"] as? String == "pid \(getpid())")
        }
    }

    /// DNS rebinding and cross-origin requests; with a valid token, so that only these checks refuse them.
    @Test(arguments: [
        ("Host: localhost", 200), ("Host: LOCALHOST:8480", 200), ("Host: 127.0.0.1:1", 200), ("Host: [::1]:8480", 200),
        ("Host: evil.example", 421), ("Host: localhost.evil.example", 421), ("Host: 127.0.0.2", 421),
        ("Host: localhost:80:80", 421), ("Host: localhost@evil.example", 421), ("Host: ::1", 421), ("Host:", 421),
        ("Host: localhost:x", 421), ("Host: [::1", 421), ("Host: localhost.", 421),
        ("Host: localhost\r\nOrigin: https://console.example", 200),
        ("Host: localhost\r\nOrigin: https://CONSOLE.example\r\nSec-Fetch-Site: cross-site", 200),
        ("Host: localhost\r\nOrigin: https://evil.example", 403), ("Host: localhost\r\nOrigin: null", 403),
        ("Host: localhost\r\nOrigin: http://localhost", 403),
        ("Host: localhost\r\nOrigin: http://console.example", 403),
        ("Host: localhost\r\nOrigin: https://console.example:444", 403),
        ("Host: localhost\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: same-origin", 403),
        ("Host: localhost\r\nSec-Fetch-Site: none", 200), ("Host: localhost\r\nSec-Fetch-Site: same-origin", 200),
        ("Host: localhost\r\nSec-Fetch-Site: same-site", 403), ("Host: localhost\r\nSec-Fetch-Site: cross-site", 403),
        ("Host: localhost\r\nsec-fetch-site: x", 403),
    ])
    func overTCPHostAndOriginAreChecked(fields: String, status: Int) async throws {
        let policy = try Self.policy()
        try await withWorld(access: policy) { (world) throws in
            try Self.withServer(world) { port in
                let client = try HTTPClient(port: port)
                try client.write(
                    "GET /v1/devices HTTP/1.1\r\n\(fields)\r\nAuthorization: Bearer \(Self.secrets[0].1)\r\n\r\n")
                let answer = try client.readAnswer()
                #expect(answer.status == status)
                let code = [421: "MISDIRECTED", 403: "FOREIGN_ORIGIN"][status]
                #expect(answer["code"] as? String == code)
            }
            // These fields are not checked on the Unix socket.
            let client = try HTTPClient(socket: world.socket)
            try client.write("GET /v1/devices HTTP/1.1\r\nHost: evil.example\r\nOrigin: null\r\n\r\n")
            #expect(try client.readAnswer().status == 200)
        }
    }

    @Test func certificatesHaveThePermissionsOfTheirRole() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let files = try Certificates(in: directory)
                try files.issue("server", purpose: "serverAuth", names: "IP:127.0.0.1")
                let names = Role.allCases.map(\.rawValue) + ["unlisted"]
                for name in names { try files.issue(name, purpose: "clientAuth", names: "DNS:\(name)") }
                let der = try run(
                    "openssl", "x509", "-in", files.certificate("admin"), "-noout", "-fingerprint", "-sha256")
                let fingerprint = "sha256:" + der.split(separator: "=")[1].filter { !$0.isWhitespace }
                // The admin by fingerprint, which takes precedence over the common name.
                let policy = try Self.policy(certificates: [
                    .commonName("viewer"): .viewer, .commonName("consumer"): .consumer,
                    .commonName("operator"): .operator, .commonName("admin"): .viewer,
                    try CertificateName(fingerprint): .admin,
                ])
                let tls = try HTTPTLS(
                    certificates: files.text(files.certificate("server")), key: files.text(files.key("server")),
                    clientAuthorities: files.text(files.certificate("ca")))
                let world = try World(directory, access: policy)
                defer { world.stop() }
                try Self.withServer(world, tls: tls) { port in
                    let callers: [(certificate: String?, token: String?, letters: String?)] =
                        Role.allCases.map { ($0.rawValue, nil, String($0.rawValue.prefix(1))) } + [
                            (nil, nil, nil), ("unlisted", nil, nil), (nil, Self.secrets[0].1, "v"),
                            // A token takes precedence over a certificate, even if it is invalid.
                            ("admin", Self.secrets[0].1, "v"), ("admin", "x", nil),
                        ]
                    for caller in callers {
                        let answers = try Self.curl(world.routes, port, files, caller.certificate, caller.token)
                        try Self.check(world.routes, "\(caller)", caller.letters) { answers[$0] ?? "no answer" }
                    }
                }
            }
        }
    }

    /// Requests all routes over one connection of curl(1).
    private static func curl(
        _ routes: [String], _ port: UInt16, _ files: Certificates, _ certificate: String?, _ token: String?
    ) throws -> [String: String] {
        var words: [String] = []
        for route in routes {
            let (method, target) = request(route)
            if !words.isEmpty { words.append("--next") }
            words += [
                "--silent", "--show-error", "--max-time", "60", "--cacert", files.certificate("ca"), "--request",
                method,
                "--write-out", "\n%{http_code}\n", "https://127.0.0.1:\(port)\(target)",
            ]
            if let certificate {
                words += ["--cert", files.certificate(certificate), "--key", files.key(certificate)]
            }
            if let token { words += ["--header", "Authorization: Bearer \(token)"] }
        }
        let lines = try run("curl", words).split(separator: "\n", omittingEmptySubsequences: true)
        guard lines.count == 2 * routes.count else { throw TestFailure("curl said \(lines)") }
        return Dictionary(
            uniqueKeysWithValues: routes.enumerated().map { index, route in
                (route, verdict(Int(lines[2 * index + 1]) ?? 0, String(lines[2 * index])))
            })
    }

    /// The listener without authentication serves open routes only.
    @Test func thePublicListenerServesOpenRoutesOnly() async throws {
        try await withWorld { (world) throws in
            let listener = try HTTPListener(tcp: #require(NetworkAddress("127.0.0.1:0")))
            let server = HTTPServer(listener: listener, handler: world.service.health)
            try server.start()
            defer { server.stop() }
            let client = try HTTPClient(
                port: try #require(UInt16(listener.description.split(separator: ":").last ?? "")))
            for route in world.routes {
                let (method, target) = Self.request(route)
                let isServed = ["/livez", "/readyz", "/metrics"].contains { target.hasPrefix($0) }
                #expect(try client.send(method, target).status == (isServed ? 400 : 404), "\(route)")
            }
            #expect(try client.send("GET", "/livez").status == 200)
            let detail = try client.send("GET", "/v1/devices")["detail"] as? String
            #expect(detail == "nothing is served at /v1/devices; the paths are /livez, /readyz, /metrics")
        }
    }
}

/// Runs `body` with a world that has these access rules.
private func withWorld(access: AccessPolicy, _ body: @escaping @Sendable (World) throws -> Void) async throws {
    try await onThread {
        try withTemporaryDirectory { directory in
            let world = try World(directory, access: access)
            defer { world.stop() }
            try body(world)
        }
    }
}
