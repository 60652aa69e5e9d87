import Foundation
import TestSupport
import Testing

/// A real guest on the daemon's queues.
@Suite(.guest) struct GuestTests {
    private static let link = #""link": {"addresses": ["192.0.2.1/24"]}"#
    /// A network behind the host's address: one flow for each of its addresses.
    private static let flows = "198.51.100"

    @Test func aGuestOnAnOpenDevice() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("vm0", spec: #"{"queues": 4, "access": "open", "multiQueue": true, \#(Self.link)}"#)
            let guest = try Guest(
                in: daemon.directory, address: "192.0.2.2/24",
                command: Guest.virtualMachine(on: "ifname=vm0,script=no,downscript=no,queues=\(Guest.queues)"))
            try Self.crossesEachQueue(guest)
            try Self.togglesQueues(guest, of: daemon)
            try Self.noticesNothingOfARestart(guest, of: daemon)
            try Self.isMissedWhenItIsKilled(guest, by: daemon)
        }
    }

    /// QEMU has no privileges; the daemon is restarted by `tapster keep`.
    @Test func aGuestOnLeasedQueues() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let user = try UnprivilegedUser(in: directory)
                let daemon = try Daemon(keptIn: directory, options: ["--socket-group", user.identifier])
                try daemon.create("vm0", spec: #"{"queues": 4, "owner": \#(user.identifier), \#(Self.link)}"#)
                let guest = try Guest(
                    in: user.directory, address: "192.0.2.2/24",
                    command: user.command([
                        user.tapster, "exec", "--socket", daemon.socket, "--device", "vm0", "--",
                    ]) + Guest.virtualMachine(on: "fds={fds}"))
                let status = try String(contentsOfFile: "/proc/\(guest.process.identifier)/status", encoding: .utf8)
                for kind in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
                    #expect(status.contains("Cap\(kind):\t0000000000000000\n"))
                }
                try Self.crossesEachQueue(guest)
                #expect(try Self.attachedQueues(of: daemon) == [true, true, true, true])
                try guest.useQueues(2)
                try eventually("which queues are attached is shown") {
                    try Self.attachedQueues(of: daemon) == [true, true, false, false]
                }
                try guest.useQueues(4)
                try Self.togglesQueues(guest, of: daemon)
                try Self.noticesNothingOfARestart(guest, of: daemon)
                try Self.isMissedWhenItIsKilled(guest, by: daemon)
            }
        }
    }

    private static func attachedQueues(of daemon: Daemon) throws -> [Bool?]? {
        let queues = try daemon.send("GET", "/v1/devices/vm0/queues")["items"] as? [[String: Any]]
        return queues?.map { $0["attached"] as? Bool }
    }

    /// Checks both directions.
    private static func crossesEachQueue(_ guest: Guest) throws {
        try guest.run("ip route add \(flows).0/24 via 192.0.2.1")
        let before = try guest.interrupts("input")
        let pinger = try Pinger(to: "192.0.2.2", from: flows, every: 2)
        // At least this many interrupts per queue, by the packets of some hundred flows.
        try eventually("the host sends through each queue") {
            try zip(guest.interrupts("input"), before).allSatisfy { $0 - $1 > 10 }
        }
        let result = pinger.finish()
        #expect(result.lost == [], "of \(result.sent)")

        let sent = try guest.interrupts("output")
        // Each processor sends through a queue of its own.
        for processor in 0..<Guest.queues {
            try guest.run("taskset \(String(1 << processor, radix: 16)) ping -c 1 192.0.2.1")
        }
        #expect(try zip(guest.interrupts("output"), sent).allSatisfy { $0 > $1 })
    }

    private static func togglesQueues(_ guest: Guest, of daemon: Daemon) throws {
        for count in [2, 4] {
            try guest.useQueues(count)
            try eventually("\(count) queues are seen to be attached") {
                let device = try daemon.send("GET", "/v1/devices/vm0")
                return device["status", "attachedQueues"] as? Int == count
                    && device["status", "phase"] as? String == "Ready"
            }
            let pinger = try Pinger(to: "192.0.2.2", from: flows, every: 2)
            usleep(300_000)
            #expect(pinger.finish().lost == [])
        }
    }

    private static func noticesNothingOfARestart(_ guest: Guest, of daemon: Daemon) throws {
        let before = try #require(try Interface("vm0"))
        let pinger = try Pinger(to: "192.0.2.2", from: flows, every: 10)
        try eventually("pings come back") { pinger.answers > 20 }
        daemon.kill()
        let answers = pinger.answers
        try eventually("pings go on without the daemon") { pinger.answers > answers + 20 }
        try daemon.start()
        usleep(300_000)
        let result = pinger.finish()
        #expect(result.lost == [], "of \(result.sent)")
        let after = try #require(try Interface("vm0"))
        #expect(after.index == before.index)
        #expect(after.carrierChanges == before.carrierChanges)
        #expect(try daemon.send("GET", "/v1/devices/vm0")["status", "attachedQueues"] as? Int == Guest.queues)
    }

    private static func isMissedWhenItIsKilled(_ guest: Guest, by daemon: Daemon) throws {
        #expect(try Interface("vm0")?.hasCarrier == true)
        guest.kill()
        try eventually("its queues and the carrier are gone", within: 5) {
            try daemon.send("GET", "/v1/devices/vm0")["status", "attachedQueues"] as? Int == 0
                && Interface("vm0")?.hasCarrier == false
        }
    }
}

/// Where privileged tests are required, being unable to boot a guest is a failure.
@Suite struct GuestAvailabilityTests {
    @Test func theGuestIsThereWhereItIsRequired() {
        #expect(Guest.isAvailable || !Privileged.isRequired)
    }
}
