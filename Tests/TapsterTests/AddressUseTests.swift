import Glibc
import TestSupport
import Testing

/// Ready means that programs can use the device's addresses.
@Suite(.privileged) struct AddressUseTests {
    private static let address = "2001:db8::1"
    private static let open = #""access": "open", "multiQueue": true"#
    private static let spec = #"{\#(open), "link": {"addresses": ["192.0.2.1/24", "2001:db8::1/64"]}}"#

    /// bind(2).
    private static var canBind: Bool {
        let socket = Glibc.socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var place = sockaddr_in6()
        place.sin6_family = sa_family_t(AF_INET6)
        inet_pton(AF_INET6, address, &place.sin6_addr)
        return withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
            }
        }
    }

    private static func use(_ daemon: Daemon) throws -> String? {
        try daemon.condition("AddressesUsable", of: "web0")?.reason
    }

    @Test func readyMeansThatBindWorks() async throws {
        try await withDaemon { (daemon) throws in
            // Without a consumer the kernel does not even begin to ask.
            #expect(try daemon.create("web0", spec: Self.spec).status == 201)
            #expect(try Self.use(daemon) == "NoCarrier")
            #expect(!Self.canBind)
            let consumer = try Consumer("web0")
            try daemon.waitForReason("DetectingDuplicates", of: "web0")
            #expect(try daemon.phase("web0") == "Degraded")
            try daemon.waitUntilReady("web0")
            #expect(Self.canBind)
            #expect(try Self.use(daemon) == "Usable")
            // Nothing of that is drift.
            #expect(try daemon.metric("tapster_drift_repairs_total") == nil)
            _ = consumer
        }
    }

    @Test func aWaitEndsWhenTheAddressIsUsable() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: "{\(Self.open)}")
            let consumer = try Consumer("web0")
            try eventually("the carrier is on") { try Interface("web0")?.hasCarrier == true }
            #expect(try daemon.patch("web0", spec: Self.spec, wait: "30s").status == 200)
            #expect(Self.canBind)
            _ = consumer
        }
    }

    @Test func aDuplicateIsReportedAndTriedAgainWithTheNextConsumer() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: Self.spec)
            let guest = try Consumer("web0")
            var answers = 0
            func answer() throws {
                for frame in guest.frames() where GuestFrames.isProbe(frame, of: Self.address) {
                    try guest.send(GuestFrames.advertisement(of: Self.address))
                    answers += 1
                }
            }
            try eventually("it is a duplicate", within: 30) {
                try answer()
                return try Self.use(daemon) == "DuplicateAddress"
            }
            try eventually("it is tried again, without another event", within: 30) {
                try answer()
                return answers >= 2
            }
            let ready = try daemon.condition("Ready", of: "web0")
            #expect(ready?.holds == false)
            #expect(ready?.reason == "DuplicateAddress")
            #expect(ready?.message.contains("2001:db8::1/64") == true)
            #expect(!Self.canBind)
            guest.leave()
            let next = try Consumer("web0")
            try daemon.waitUntilReady("web0")
            try eventually("the new consumer does not have the address", within: 30) {
                try Self.use(daemon) == "Usable" && Self.canBind
            }
            try eventually("each was told once") {
                let reasons = try daemon.events(of: "web0").map(\.reason)
                return reasons.filter { $0 == "DuplicateAddress" }.count == 1
            }
            #expect(try daemon.metric("tapster_drift_repairs_total") == nil)
            _ = next
        }
    }

    @Test func withoutDetectionAnAddressIsUsableAtOnce() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: Self.spec)
            #expect(!Self.canBind)
            let patch = #"{"link": {"duplicateAddressDetection": false}}"#
            #expect(try daemon.patch("web0", spec: patch).status == 200)
            #expect(Self.canBind)
            #expect(try Self.use(daemon) == "Usable")
            let consumer = try Consumer("web0")
            try eventually("the carrier is on") { try Interface("web0")?.hasCarrier == true }
            #expect(!consumer.frames().contains { GuestFrames.isProbe($0, of: Self.address) })
            #expect(Self.canBind)
        }
    }
}
