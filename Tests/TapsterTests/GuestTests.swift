import Foundation
import TestSupport
import Testing

/// A real guest on queues of ours.
@Suite(.guest) struct GuestTests {
    private static let vm0 = #"{"queues": 4, "access": "open", "link": {"addresses": ["192.0.2.1/24"]}}"#

    @Test func aGuestUsesEachQueueOfAnOpenDevice() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("vm0", spec: Self.vm0)
            let guest = try Guest(
                in: daemon.directory, address: "192.0.2.2/24",
                network: "ifname=vm0,script=no,downscript=no,queues=\(Guest.queues)")
            try guest.run("ip route add 198.51.100.0/24 via 192.0.2.1")
            let pinger = try Pinger(to: "192.0.2.2", from: "198.51.100", every: 1)
            try eventually("each queue is used") { try guest.packets("rx").allSatisfy { $0 > 0 } }
            #expect(pinger.finish().lost == [])
            try guest.powerOff()
        }
    }
}

/// Where privileged tests are required, being unable to boot a guest is a failure.
@Suite struct GuestAvailabilityTests {
    @Test func theGuestIsThereWhereItIsRequired() {
        #expect(Guest.isAvailable || !Privileged.isRequired)
    }
}
