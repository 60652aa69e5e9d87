import Foundation
import TapCore
import TestSupport
import Testing

/// Devices that other processes have open and change.
@Suite(.privileged) struct ConsumerTests {
    /// A guest with a legacy driver wants a smaller header, and no offloads, for as long as it runs: that is no drift.
    @Test(arguments: [
        #"{"access": "open", "multiQueue": true}"#, #"{"access": "open", "queues": 4, "driftPolicy": "report"}"#,
    ])
    func whatAConsumerNegotiatesIsItsOwn(spec: String) async throws {
        try await withDaemon { (daemon) throws in
            _ = try daemon.create("open0", spec: spec)
            let before = try #require(try Interface("open0"))
            for round in 0..<12 {
                let consumer = try Consumer("open0")
                consumer.vnetHeaderSize = 10
                consumer.setOffloads([])
                if round == 0 {
                    // The kernel does not notify of it; the next pass finds it, whatever causes that pass.
                    _ = try daemon.send("POST", "/v1/reconcile?wait=5s", json: "{}")
                    let device = try daemon.send("GET", "/v1/devices/open0")
                    #expect(device["status", "phase"] as? String == "Ready", "\(device.text)")
                    #expect(device["status", "vnetHeaderSize"] as? Int == 10)
                    #expect(device["status", "offloads"] as? [String] == [])
                    #expect(try daemon.drift(of: "open0") == [])
                    // Otherwise the next daemon does not know that the spec was reached.
                    try daemon.waitForHistory("Converged", of: "open0")
                    daemon.kill()
                    try daemon.start()
                    try daemon.waitUntilReady("open0")
                }
                try eventually("it is seen") {
                    try daemon.send("GET", "/v1/devices/open0")["status", "attachedQueues"] as? Int == 1
                }
                #expect(consumer.vnetHeaderSize == 10)
                consumer.leave()
                try eventually("both are set again") {
                    let device = try daemon.send("GET", "/v1/devices/open0")
                    return device["status", "attachedQueues"] as? Int == 0
                        && device["status", "vnetHeaderSize"] as? Int == 12
                        && device["status", "offloads"] as? [String] == ["checksum", "tso4", "tso6"]
                }
                #expect(try offloads(of: "open0") == [.checksum, .tso4, .tso6])
            }
            #expect(try Consumer.vnetHeaderSize(of: "open0") == 12)
            #expect(try Interface("open0")?.index == before.index)
            let reasons = try daemon.events(of: "open0").map(\.reason)
            #expect(!reasons.contains { ["DriftFound", "DriftRepaired", "InUse"].contains($0) }, "\(reasons)")
            for field in ["vnetHeaderSize", "offloads"] {
                #expect(try daemon.metric(#"tapster_drift_repairs_total{field="\#(field)"}"#) == "0")
            }
        }
    }

    /// So it is for a lessee, on a device whose carrier must stay.
    @Test func whatALesseeNegotiatesIsItsOwn() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "link": {"carrier": "on"}}"#)
            let holder = try LeaseHolder(daemon, "web0")
            holder.queues[0]?.vnetHeaderSize = 10
            holder.queues[0]?.setOffloads([])
            _ = try daemon.send("POST", "/v1/reconcile?wait=5s", json: "{}")
            #expect(try daemon.phase("web0") == "Ready")
            #expect(holder.queues[0]?.vnetHeaderSize == 10)
            holder.close()
            holder.queues = [:]
            try eventually("both are set again") { try offloads(of: "web0") == [.checksum, .tso4, .tso6] }
            try daemon.waitUntilReady("web0")
            #expect(try daemon.metric(#"tapster_drift_repairs_total{field="vnetHeaderSize"}"#) == "0")
        }
    }

    /// Without the ioctls' effects, the next consumer would be deaf while the device is Ready.
    @Test(
        arguments: Consumer.HiddenSetting.allCases,
        [
            #"{"access": "open", "multiQueue": true}"#,
            #"{"access": "open", "multiQueue": true, "vnetHeader": false, "offloads": []}"#,
            #"{"access": "open", "multiQueue": false}"#,
            #"{"access": "open", "multiQueue": false, "vnetHeader": false, "offloads": []}"#,
        ])
    func hiddenSettingsEndWithTheLastConsumerOfAnOpenDevice(
        setting: Consumer.HiddenSetting, spec: String
    ) async throws {
        let vnetHeader = !spec.contains(#""vnetHeader": false"#)
        let isMultiple = !spec.contains(#""multiQueue": false"#)
        guard vnetHeader || setting != .byteOrder else { return }
        try await withDaemon { (daemon) throws in
            try daemon.create("open0", spec: spec)
            let first = try Consumer("open0", vnetHeader: vnetHeader, multiQueue: isMultiple)
            try first.set(setting)
            // Seen by the daemon, as any consumer is that stays for longer than a pass.
            try eventually("it is seen") {
                let device = try daemon.send("GET", "/v1/devices/open0")
                return device["status", "carrier"] as? Bool == true
            }
            first.leave()
            try eventually("the consumer is gone") {
                let device = try daemon.send("GET", "/v1/devices/open0")
                return device["status", "carrier"] as? Bool == false
            }
            try daemon.waitUntilReady("open0")
            var next: Consumer?
            try eventually("the device is free") {
                next = try? Consumer("open0", vnetHeader: vnetHeader, multiQueue: isMultiple)
                return next != nil
            }
            let queue = try #require(next)
            #expect(queue.sendBufferBytes == Int(Int32.max))
            #expect(!queue.isLittleEndian)
            let frames = try SteeredFrames(to: try #require(try Interface("open0")?.index), by: queue)
            #expect(try frames.order(of: [0: queue], count: 1) == [0])
            try daemon.waitUntilReady("open0")
            #expect(try daemon.events(of: "open0").allSatisfy { $0.reason != "DriftRepaired" })
        }
    }

    /// A daemon that was stopped meanwhile has not seen the consumer.
    @Test(arguments: [true, false])
    func hiddenSettingsOfAConsumerThatCameAndWentUnseenEnd(isMultiple: Bool) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("open0", spec: #"{"access": "open", "multiQueue": \#(isMultiple)}"#)
            daemon.kill()
            let unseen = try Consumer("open0", multiQueue: isMultiple)
            try unseen.set(.addressFilter)
            unseen.leave()
            try daemon.start()
            try daemon.waitUntilReady("open0")
            let queue = try Consumer("open0", multiQueue: isMultiple)
            let frames = try SteeredFrames(to: try #require(try Interface("open0")?.index), by: queue)
            #expect(try frames.order(of: [0: queue], count: 1) == [0])
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
