import Foundation
import TestSupport
import Testing

/// The unit under a real systemd.
@Suite(.systemd) struct SystemdTests {
    /// CAP_NET_ADMIN is number 12 (capabilities(7)).
    private static let networkAdministrator = "0000000000001000"

    private func withSandbox(_ body: @escaping @Sendable (SystemdSandbox) throws -> Void) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let sandbox = try SystemdSandbox(in: directory)
                do {
                    try body(sandbox)
                } catch {
                    throw TestFailure("\(error)\n\(sandbox.journal)")
                }
            }
        }
    }

    @Test func theUnitRunsWithItsOnePrivilege() async throws {
        try await withSandbox { sandbox throws in
            #expect(try sandbox.run("systemd-analyze", "verify", "tapster.service") == "")
            try sandbox.run("systemctl", "start", "tapster")
            #expect(try sandbox.property("ActiveState") == "active")
            #expect(try sandbox.daemon.send("GET", "/readyz").status == 200)

            let status = try sandbox.run("cat", "/proc/\(sandbox.property("MainPID"))/status")
            for kind in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
                #expect(status.contains("Cap\(kind):\t\(Self.networkAdministrator)\n"))
            }
            let user = try sandbox.run("id", "-u", "tapster").trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(status.contains("Uid:" + String(repeating: "\t\(user)", count: 4)))
            #expect(try sandbox.run("stat", "-c", "%a %U %G", "/run/tapster/api.sock") == "660 tapster tapster\n")

            #expect(try sandbox.daemon.create("web0", spec: #"{"queues": 4}"#)["status", "phase"] as? String == "Ready")
            #expect(try sandbox.interface("web0")?.tun("user") == user)
        }
    }

    @Test func devicesStayWhateverBecomesOfTheService() async throws {
        try await withSandbox { sandbox throws in
            try sandbox.run("systemctl", "start", "tapster")
            try sandbox.daemon.create("web0", spec: #"{"queues": 4}"#)
            let before = try #require(try sandbox.interface("web0"))
            func isUntouched() throws -> Bool {
                let now = try sandbox.interface("web0")
                return now?.index == before.index && now?.carrierChanges == before.carrierChanges
            }

            try sandbox.run("systemctl", "restart", "tapster")
            #expect(try sandbox.daemon.phase("web0") == "Ready")
            #expect(try isUntouched())

            let killed = try sandbox.property("MainPID")
            try sandbox.run("systemctl", "kill", "--signal", "KILL", "tapster")
            try eventually("it is started again") {
                try sandbox.property("MainPID") != killed && sandbox.property("ActiveState") == "active"
            }
            #expect(try sandbox.property("NRestarts") == "1")
            #expect(try sandbox.daemon.phase("web0") == "Ready")
            #expect(try isUntouched())

            try sandbox.run("systemctl", "stop", "tapster")
            #expect(try sandbox.property("Result") == "success")
            #expect(try sandbox.interface("web0")?.index == before.index)
        }
    }
}

/// Where privileged tests are required, being unable to boot a systemd is a failure.
@Suite struct SystemdAvailabilityTests {
    @Test func systemdIsThereWhereItIsRequired() {
        #expect(SystemdSandbox.isAvailable || !Privileged.isRequired)
    }
}
