import Foundation
import TapCore
import TestSupport
import Testing

/// Devices that other processes have open and change.
@Suite(.privileged) struct ConsumerTests {
    @Test func aConsumersChangesAreUndoneWhenItIsGone() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("open0", spec: #"{"access": "open", "multiQueue": true}"#)
            let before = try #require(try Interface("open0"))
            let consumer = try Consumer("open0")
            consumer.vnetHeaderSize = 20
            consumer.setOffloads([])
            #expect(try offloads(of: "open0") == [])
            // The kernel does not notify of it; the next pass finds it, whatever causes that pass.
            try run("ip", "link", "set", "open0", "alias", "wake")
            try daemon.waitForReason("InUse", of: "open0")
            #expect(try daemon.drift(of: "open0") == ["vnetHeaderSize"])
            #expect(try daemon.condition("Conflict", of: "open0")?.holds == false)
            #expect(consumer.vnetHeaderSize == 20)
            try daemon.waitForHistory("DriftFound", of: "open0")
            daemon.kill()
            try daemon.start()
            try daemon.waitForReason("InUse", of: "open0")
            #expect(try daemon.drift(of: "open0") == ["vnetHeaderSize"])
            #expect(consumer.vnetHeaderSize == 20)

            consumer.leave()
            try daemon.waitUntilReady("open0")
            #expect(try daemon.drift(of: "open0") == [])
            #expect(try Consumer.vnetHeaderSize(of: "open0") == 12)
            #expect(try offloads(of: "open0") == [.checksum, .tso4, .tso6])
            #expect(try Interface("open0")?.index == before.index)
            try eventually("it is in the history") {
                try daemon.events(of: "open0").contains {
                    $0.reason == "DriftRepaired" && $0.field == "vnetHeaderSize" && $0.wanted == "12"
                        && $0.observed == "20"
                }
            }
        }
    }

    /// However quickly consumers come and go.
    @Test func offloadsAreSetAgainAfterEachConsumer() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("open0", spec: #"{"access": "open", "multiQueue": true}"#)
            for _ in 0..<7 {
                let consumer = try Consumer("open0")
                consumer.setOffloads([])
                try eventually("it is seen") {
                    try daemon.send("GET", "/v1/devices/open0")["status", "attachedQueues"] as? Int == 1
                }
                consumer.leave()
                try eventually("they are set again") {
                    try offloads(of: "open0") == [.checksum, .tso4, .tso6]
                        && daemon.send("GET", "/v1/devices/open0")["status", "attachedQueues"] as? Int == 0
                }
            }
            try daemon.waitUntilReady("open0")
            // Changes by another controller would be contested at this rate.
            #expect(try daemon.condition("Conflict", of: "open0")?.holds == false)
        }
    }

    /// If the only queue of the old ABI is taken, its holder is reported, and the device recovers when it is free
    /// again.
    @Test func theHolderOfABusyDeviceIsReported() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("one0", spec: #"{"access": "open", "multiQueue": false}"#)
            let consumer = try Consumer("one0", multiQueue: false)
            _ = try daemon.send("PATCH", "/v1/devices/one0", json: #"{"spec": {"vnetHeaderSize": 20}}"#)
            try eventually("the holder is reported") {
                let error = try daemon.send("GET", "/v1/devices/one0")["status", "lastError"] as? String ?? ""
                return error.contains("EBUSY") && error.contains("held open by pid \(getpid()) (")
            }
            consumer.leave()
            try daemon.waitUntilReady("one0")
            #expect(try Consumer.vnetHeaderSize(of: "one0", multiQueue: false) == 20)
        }
    }

    @Test func theAnchorPinsTheFlags() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("open0", spec: #"{"access": "open", "multiQueue": true}"#)
            let other = try Consumer("open0", vnetHeader: false)
            #expect(try Interface("open0")?.tun("vnet_hdr") == "1")
            other.leave()
            #expect(try Interface("open0")?.tun("vnet_hdr") == "1")
        }
    }

    /// Without an anchor, the first process that opens the device sets the flags.
    @Test func flagsThatAConsumerHasSetArePutBack() async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("web0")
            let before = try #require(try Interface("web0"))
            try Consumer("web0", vnetHeader: false).leave()
            try eventually("the flags are back") { try Interface("web0")?.tun("vnet_hdr") == "1" }
            try daemon.waitUntilReady("web0")
            #expect(try Interface("web0")?.index == before.index)
        }
    }
}
