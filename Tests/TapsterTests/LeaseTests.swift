import Foundation
import TapCore
import TestSupport
import Testing

/// The queues that a client gets with a lease, their settings, and the requests that are refused.
@Suite(.privileged) struct LeaseTests {
    private static func refusal(_ daemon: Daemon, _ name: String, _ query: String = "") throws -> (Int, String?) {
        do {
            _ = try LeaseHolder(daemon, name, query)
        } catch let refusal as LeaseHolder.Refusal {
            return (refusal.status, refusal.code)
        }
        throw TestFailure("'\(name)' was leased")
    }

    @Test func aSingleQueueDeviceHasOneHolder() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("one0", spec: #"{"multiQueue": false}"#)
            for _ in 0..<3 {
                let holder = try LeaseHolder(daemon, "one0")
                try daemon.waitForQueues([QueueState(at: 0, lease: holder.id)], of: "one0")
                #expect(try Self.refusal(daemon, "one0") == (409, "QUEUE_LEASED"))
                #expect(try Interface("one0")?.hasCarrier == true)
                holder.close()
                // The client's copies still occupy the only queue: that of a single-queue device cannot be detached.
                holder.queues = [:]
                try daemon.waitForLeases([])
                try eventually("no carrier") { try Interface("one0")?.hasCarrier == false }
            }
        }
    }

    /// The kernel's EBUSY is reported with its cause, and leases work when the other process has closed the queue.
    @Test func anExternalHolderOfASingleQueueDeviceIsReported() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("one0", spec: #"{"multiQueue": false}"#)
            let foreign = try Consumer("one0", multiQueue: false)
            let refusal: LeaseHolder.Refusal
            do {
                _ = try LeaseHolder(daemon, "one0")
                throw TestFailure("it was leased")
            } catch let error as LeaseHolder.Refusal {
                refusal = error
            }
            #expect(refusal.status >= 409 && refusal.text.contains("EBUSY"), "\(refusal)")
            #expect(refusal.text.contains("another process holds the only queue"), "\(refusal)")
            #expect(try daemon.leases() == [])
            foreign.leave()
            // A process that another test is starting may hold a copy for a moment.
            try eventually("it is leased") { (try? LeaseHolder(daemon, "one0")) != nil }
        }
    }

    /// A message carries at most 250 descriptors.
    @Test func manyQueuesComeInTwoMessages() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("big0", spec: #"{"queues": 255}"#)
            let holder = try LeaseHolder(daemon, "big0")
            #expect(holder.lines.map(\.queues) == [Array(0..<250), Array(250..<255)])
            #expect(holder.lines.map(\.descriptors) == [250, 5])
            #expect(holder.lines.map(\.isLast) == [false, true])
            try #require(holder.lines.count == 2)
            for key in ["lease", "device", "ifindex", "vnetHeaderSize"] {
                #expect("\(holder.lines[0].json[key] ?? "")" == "\(holder.lines[1].json[key] ?? "-")", "\(key)")
            }
            try daemon.waitForQueues((0..<255).map { QueueState(at: $0, lease: holder.id) }, of: "big0")
            let frames = try SteeredFrames(to: holder.interfaceIndex, by: try #require(holder.queues[0]))
            for index in [0, 249, 250, 254] {
                #expect(holder.queues[index]?.receive().isEmpty == true)
                let number = try frames.send(to: index)
                #expect(holder.queues[index]?.receive() == [number])
            }
            holder.close()
            try daemon.waitForLeases([])
            #expect(try Interface("big0")?.attachedQueues == 0)
        }
    }

    @Test func aDeviceInAnotherNamespaceIsLeasedThere() async throws {
        try await withDaemon { (daemon) throws in
            let namespace = NamedNamespace()
            try namespace.make()
            try daemon.create("far0", spec: #"{"queues": 2, "networkNamespace": "\#(namespace.location)"}"#)
            let holder = try LeaseHolder(daemon, "far0")
            #expect(holder.lines[0].json["networkNamespace"] as? String == namespace.location)
            #expect(holder.interfaceIndex == (try namespace.interface("far0")?.index))
            #expect(try namespace.interface("far0")?.attachedQueues == 2)
            #expect(try Interface("far0") == nil)
            let frames = try SteeredFrames(
                to: holder.interfaceIndex, in: namespace.path, by: try #require(holder.queues[0]))
            #expect(try frames.order(of: holder.queues, count: 2) == [0, 1])
            try daemon.set(0, of: "far0", enabled: false, force: true)
            #expect(try frames.order(of: holder.queues, count: 1) == [1])
            holder.queues[1]?.detach()
            try daemon.waitForQueues(
                [QueueState(enabled: false, at: nil, lease: holder.id), QueueState(at: nil, lease: holder.id)],
                of: "far0", within: 1)
            holder.close()
            try daemon.waitForLeases([])
            #expect(try namespace.interface("far0")?.attachedQueues == 0)
        }
    }

    // MARK: The carrier

    @Test(arguments: [("automatic", true, false), ("on", true, true), ("off", false, false)])
    func theCarrierFollowsTheSpecAndTheLease(spec: String, whileLeased: Bool, otherwise: Bool) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "link": {"carrier": "\#(spec)"}}"#)
            func expect(_ carrier: Bool, _ when: String) throws {
                try eventually("carrier \(carrier) \(when)") { try Interface("web0")?.hasCarrier == carrier }
                usleep(50_000)
                #expect(try Interface("web0")?.hasCarrier == carrier, "\(when)")
                try eventually("it is Ready \(when)") { try daemon.phase("web0") == "Ready" }
            }
            try expect(otherwise, "before")
            let changes = try Interface("web0")?.carrierChanges
            for round in 0..<2 {
                let holder = try LeaseHolder(daemon, "web0")
                try expect(whileLeased, "in lease \(round)")
                try daemon.set(0, of: "web0", enabled: false, force: true)
                try expect(whileLeased, "with one queue")
                holder.queues[1]?.detach()
                // Without an attached queue all packets would be lost.
                if spec == "automatic" { try expect(false, "with none") }
                holder.queues[1]?.attach()
                // The worker may see any intermediate state.
                for _ in 0..<50 {
                    holder.queues[1]?.detach()
                    holder.queues[1]?.attach()
                }
                try expect(whileLeased, "with one queue again")
                try daemon.set(0, of: "web0", enabled: true, force: true)
                holder.close()
                holder.queues = [:]
                try daemon.waitForLeases([])
                try expect(otherwise, "after lease \(round)")
            }
            // A bridge port must not flap.
            if spec != "automatic" { #expect(try Interface("web0")?.carrierChanges == changes) }
        }
    }

    // MARK: Settings

    /// Each of these would make the device deaf or dumb for the next consumer, while it is Ready.
    @Test(arguments: Consumer.HiddenSetting.allCases)
    func hiddenSettingsEndWithTheLease(setting: Consumer.HiddenSetting) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let first = try LeaseHolder(daemon, "web0")
            let spoiled = try #require(first.queues[0])
            let before = try SteeredFrames(to: first.interfaceIndex, by: spoiled)
            try spoiled.set(setting)
            // A filter's drop is an error of send(2), ENOBUFS.
            _ = try? before.send(to: 0)
            switch setting {
            case .addressFilter, .packetFilter: #expect(spoiled.receive().isEmpty)
            case .sendBuffer: #expect(spoiled.sendBufferBytes == 1)
            case .byteOrder: #expect(spoiled.isLittleEndian)
            }
            first.close()
            first.queues = [:]
            try daemon.waitForLeases([])

            let second = try LeaseHolder(daemon, "web0")
            let queue = try #require(second.queues[1])
            #expect(queue.sendBufferBytes == Int(Int32.max))
            #expect(!queue.isLittleEndian)
            let after = try SteeredFrames(to: second.interfaceIndex, by: queue)
            let sent = try after.send(to: 1)
            #expect(queue.receive() == [sent])
        }
    }

    /// Also if the lessee has changed it so often that the repairs are given up for a while.
    @Test func theAddressIsRightAfterALesseeThatKeptChangingIt() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let address = try #require(try Interface("web0")?.macAddress)
            let holder = try LeaseHolder(daemon, "web0")
            var last: UInt8 = 0
            try eventually("the repairs are given up", within: 20) {
                last &+= 1
                holder.queues[0]?.setAddress([2, 0, 0, 0, 0, last])
                usleep(20_000)
                return try daemon.condition("Ready", of: "web0")?.reason == "Contested"
            }
            holder.close()
            holder.queues = [:]
            try eventually("it is right again") { try Interface("web0")?.macAddress == address }
            try daemon.waitUntilReady("web0")
            #expect(try daemon.condition("Conflict", of: "web0")?.holds == false)
        }
    }

    /// Nor may they outlast the lease for those who stay.
    @Test(arguments: Consumer.HiddenSetting.allCases)
    func hiddenSettingsOfALeaverDoNotHarmThoseWhoStay(setting: Consumer.HiddenSetting) async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 3, "sendBufferBytes": 50000}"#)
            let stays = try LeaseHolder(daemon, "web0", "queues=0")
            let leaves = try LeaseHolder(daemon, "web0", "queues=1,2")
            stays.queues[0]?.vnetHeaderSize = 20
            try #require(leaves.queues[2]).set(setting)
            leaves.close()
            leaves.queues = [:]
            try daemon.waitForLeases([stays.id])
            let queue = try #require(stays.queues[0])
            #expect(queue.sendBufferBytes == 50_000)
            // What consumers negotiate with their guests belongs to those who stay.
            #expect(queue.vnetHeaderSize == 20)
            #expect(queue.isLittleEndian == (setting == .byteOrder))
            let frames = try SteeredFrames(to: stays.interfaceIndex, by: queue)
            #expect(try frames.order(of: [0: queue], count: 1) == [0])
        }
    }

    /// Changes by the last consumer are undone before the next one gets the queues.
    @Test func settingsAreRightBeforeEachHandOver() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "vnetHeaderSize": 20}"#)
            for round in 0..<5 {
                let holder = try LeaseHolder(daemon, "web0")
                let queue = try #require(holder.queues[0])
                #expect(holder.lines[0].json["vnetHeaderSize"] as? Int == 20)
                #expect(queue.vnetHeaderSize == 20, "round \(round)")
                #expect(try offloads(of: "web0") == [.checksum, .tso4, .tso6])
                queue.vnetHeaderSize = 12
                queue.setOffloads([])
                #expect(queue.vnetHeaderSize == 12)
                #expect(try offloads(of: "web0") == [])
                holder.close()
                holder.queues = [:]
                try daemon.waitForLeases([])
            }
        }
    }

    /// Without an open queue, the next process that opens the device would set its flags; the flags of another process
    /// must not count.
    @Test func theFlagsFollowTheSpec() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2, "vnetHeader": false}"#)
            #expect(try Interface("web0")?.tun("vnet_hdr") == "0")
            // A process that opens it by name, as root can, with other flags.
            let foreign = try Consumer("web0", vnetHeader: true)
            #expect(try Interface("web0")?.tun("vnet_hdr") == "1")
            #expect(throws: LeaseHolder.Refusal.self) { try LeaseHolder(daemon, "web0") }
            #expect(try daemon.leases() == [])
            try eventually("only the foreign queue is left") { try Interface("web0")?.attachedQueues == 1 }
            foreign.leave()
            // A process that another test is about to start may have a copy for a moment.
            var leased: LeaseHolder?
            try eventually("it is leased") {
                leased = try? LeaseHolder(daemon, "web0")
                return leased != nil
            }
            #expect(leased?.lines[0].json["vnetHeaderSize"] is NSNull)
            #expect(try Interface("web0")?.tun("vnet_hdr") == "0")
        }
    }

    @Test func twoHoldersOfOneDeviceDoNotChangeEachOthersSettings() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            let first = try LeaseHolder(daemon, "web0", "queues=0")
            first.queues[0]?.vnetHeaderSize = 20
            let second = try LeaseHolder(daemon, "web0", "queues=1")
            #expect(first.queues[0]?.vnetHeaderSize == 20)
            // The second holder gets the actual value.
            #expect(second.lines[0].json["vnetHeaderSize"] as? Int == 20)
        }
    }

    @Test func theSendBufferIsSetOnEachQueue() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 3, "sendBufferBytes": 50000}"#)
            let holder = try LeaseHolder(daemon, "web0")
            #expect((0..<3).map { holder.queues[$0]?.sendBufferBytes } == [50_000, 50_000, 50_000])
            try daemon.set(1, of: "web0", enabled: false, force: true)
            try daemon.set(1, of: "web0", enabled: true, force: true)
            #expect(holder.queues[1]?.sendBufferBytes == 50_000)
            holder.close()
            holder.queues = [:]
            try daemon.waitForLeases([])
            try daemon.patch("web0", spec: #"{"sendBufferBytes": null}"#)
            #expect(try LeaseHolder(daemon, "web0").queues[0]?.sendBufferBytes == Int(Int32.max))
        }
    }

    @Test func anUnknownQueueOrDeviceIsReported() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("web0", spec: #"{"queues": 2}"#)
            try daemon.create("open0", spec: #"{"access": "open", "multiQueue": true}"#)
            #expect(try Self.refusal(daemon, "web1") == (404, "DEVICE_NOT_FOUND"))
            #expect(try Self.refusal(daemon, "web0", "queues=0,2").0 == 404)
            #expect(try Self.refusal(daemon, "web0", "queues=0,0").0 == 400)
            #expect(try Self.refusal(daemon, "open0").0 == 409)
            #expect(try daemon.send("GET", "/v1/devices/web0/lease").status == 426)
            #expect(try Interface("web0")?.attachedQueues == 0)
        }
    }
}
