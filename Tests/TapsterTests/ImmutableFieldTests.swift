import Foundation
import TestSupport
import Testing

/// Fields that the kernel fixes when a device is created.
@Suite(.privileged) struct ImmutableFieldTests {
    private static let start = #"{"access": "open", "multiQueue": true, "owner": 1234, "group": 4321}"#

    @Test func theyAreRefusedWithTheirPlace() async throws {
        try await withDaemon { (daemon) throws in
            #expect(try daemon.create("web0", spec: Self.start).status == 201)
            let before = try #require(try Interface("web0"))
            let changes: [(patch: String, pointers: [String])] = [
                (#"{"kind": "tun"}"#, ["/spec/kind"]), (#"{"multiQueue": false}"#, ["/spec/multiQueue"]),
                (#"{"packetInfo": true}"#, ["/spec/packetInfo"]),
                (#"{"vnetHeader": false, "offloads": []}"#, ["/spec/vnetHeader"]),
                (#"{"networkNamespace": "tapster-test-none"}"#, ["/spec/networkNamespace"]),
                (#"{"owner": null, "group": null}"#, ["/spec/group", "/spec/owner"]),
                (#"{"packetInfo": true, "multiQueue": false}"#, ["/spec/multiQueue", "/spec/packetInfo"]),
            ]
            for change in changes {
                let answer = try daemon.patch("web0", spec: change.patch)
                #expect(answer.status == 409, "\(change.patch)")
                #expect(answer["code"] as? String == "IMMUTABLE_FIELD", "\(change.patch)")
                let errors = answer["errors"] as? [[String: Any]] ?? []
                #expect(errors.compactMap { $0["pointer"] as? String }.sorted() == change.pointers, "\(change.patch)")
            }
            #expect(try daemon.send("GET", "/v1/devices/web0")["metadata", "generation"] as? Int == 1)
            #expect(try Interface("web0")?.index == before.index)
        }
    }

    @Test(arguments: [
        (#"{"multiQueue": false}"#, ["multi_queue": "0"]), (#"{"packetInfo": true}"#, ["pi": "1"]),
        (#"{"vnetHeader": false, "offloads": []}"#, ["vnet_hdr": "0"]),
        (#"{"owner": null, "group": null}"#, ["user": "none", "group": "none"]),
    ])
    func withRecreateTheDeviceIsMadeAnew(patch: String, expected: [String: String]) async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: Self.start)
            let before = try #require(try Interface("web0"))
            #expect(try daemon.patch("web0", spec: patch, recreate: true).status == 200)
            let after = try #require(try Interface("web0"))
            #expect(after.index != before.index)
            #expect(after.macAddress == before.macAddress)
            for (key, value) in expected { #expect(after.tun(key) ?? "none" == value, "\(key)") }
            // `recreate=true` is valid only once: a later difference is external drift, and no permission to recreate.
            try run("ip", "link", "set", "web0", "mtu", "1400")
            try eventually("the MTU is repaired") { try Interface("web0")?.mtu == 1_500 }
            #expect(try Interface("web0")?.index == after.index)
        }
    }

    @Test func aTapBecomesATun() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            let before = try #require(try Interface("web0"))
            #expect(try daemon.patch("web0", spec: #"{"kind": "tun"}"#, recreate: true).status == 200)
            let tun = try #require(try Interface("web0"))
            #expect(tun.tun("type") == "tun")
            #expect(tun.macAddress == nil)
            #expect(try daemon.patch("web0", spec: #"{"kind": "tap"}"#, recreate: true).status == 200)
            #expect(try Interface("web0")?.macAddress == before.macAddress)
        }
    }

    @Test func permissionToRecreateChangesNothingElse() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            let before = try #require(try Interface("web0"))
            #expect(try daemon.patch("web0", spec: #"{"link": {"mtu": 9000}}"#, recreate: true).status == 200)
            #expect(try Interface("web0")?.index == before.index)
        }
    }

    @Test func aConsumerDoesNotKeepItFromBeingMadeAnew() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"access": "open", "multiQueue": true}"#)
            let before = try #require(try Interface("web0"))
            let consumer = try Consumer("web0")
            #expect(try daemon.patch("web0", spec: #"{"packetInfo": true}"#, recreate: true).status == 200)
            let after = try #require(try Interface("web0"))
            #expect(after.index != before.index)
            #expect(after.tun("pi") == "1")
            _ = consumer
        }
    }

    /// An external change must not make Tapster delete a device: that needs a request.
    @Test func nothingIsRecreatedUnasked() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0", spec: #"{"access": "open", "multiQueue": true}"#)
            let before = try #require(try Interface("web0"))
            let consumer = try Consumer("web0")
            consumer.setOwner(1_234)
            consumer.leave()
            try daemon.waitForReason("ImmutableField", of: "web0")
            #expect(try daemon.condition("Conflict", of: "web0")?.holds == true)
            #expect(try daemon.drift(of: "web0").contains("owner"))
            #expect(try Interface("web0")?.index == before.index)
            #expect(try daemon.patch("web0", spec: #"{"owner": 1234}"#).status == 200)
            #expect(try Interface("web0")?.index == before.index)
        }
    }
}
