import CLinux
import Foundation
import Glibc
import Steering
import TapCore
import TestSupport
import Testing

/// What a consumer sends through its queues, or sets with them, has no effect on the rest of the host, nor on the next
/// consumer. Effects of its packets on the device itself, such as neighbour entries, are traffic.
@Suite(.privileged) struct ConsumerEffectsTests {
    @Test func packetsAndIoctlsHaveNoEffectElsewhere() async throws {
        try await withDaemon { (daemon) throws in
            let host = try ConsumerHost(daemon)
            for device in ConsumerHost.devices {
                var consumer = try host.consumer(of: device)
                for row in ConsumerRow.all {
                    try consumer.act(row)
                    consumer.leave()
                    // The next consumer finds all as it was.
                    consumer = try host.consumer(of: device)
                    let effects = try host.effects(on: device, seenBy: consumer)
                    #expect(effects == [], "\(row.name), on \(device)")
                }
            }
        }
    }
}

extension ConsumerRow {
    static let all = neighbours + packets + controls
}

/// A host with a routed device, a device in a bridge, and another interface with neighbours of its own.
private final class ConsumerHost {
    static let devices = ["routed0", "port0"]

    private let daemon: Daemon
    private let side: Consumer
    private let uplink: Consumer
    private var state: [String] = []
    private var states: [String: [String]] = [:]

    init(_ daemon: Daemon) throws {
        self.daemon = daemon
        let commands = """
            ip link add br0 type bridge
            sysctl -qw net.ipv6.conf.br0.disable_ipv6=1
            ip address add 10.1.0.1/24 dev br0
            ip tuntap add side0 mode tap
            ip tuntap add uplink0 mode tap
            ip link set side0 up
            ip link set uplink0 master br0 up
            ip link set br0 up
            ip address add 10.2.0.1/24 dev side0
            ip address add fd00:2::1/64 dev side0 nodad
            ip neighbour add 10.2.0.7 lladdr 02:00:00:00:07:07 nud reachable dev side0
            ip neighbour add fd00:2::7 lladdr 02:00:00:00:07:07 nud reachable dev side0
            """
        try run("sh", "-ec", commands)
        side = try Consumer("side0", vnetHeader: false, multiQueue: false)
        uplink = try Consumer("uplink0", vnetHeader: false, multiQueue: false)
        _ = try daemon.create(
            "routed0", spec: #"{"queues": 2, "link": {"addresses": ["10.3.0.1/24", "fd00:3::1/64"]}}"#)
        _ = try daemon.create("port0", spec: #"{"queues": 2, "link": {"controller": "br0"}}"#)
        for device in Self.devices {
            let first = try consumer(of: device)
            states[device] = try first.settings + Self.settings(of: device)
            first.leave()
        }
        state = try Self.everythingElse()
    }

    /// A consumer of both queues of the device, which the host answers.
    func consumer(of device: String) throws -> DeviceConsumer {
        var lease: LeaseHolder?
        try eventually("a lease of \(device)") {
            lease = try? LeaseHolder(daemon, device)
            return lease != nil
        }
        return try DeviceConsumer(try #require(lease), of: device)
    }

    /// What differs from the beginning, as a consumer sees it.
    func effects(on device: String, seenBy consumer: DeviceConsumer) throws -> [String] {
        var effects: [String] = []
        do {
            // A setting that the kernel reports may be repaired a moment later.
            try eventually("all is as it was", within: 2) {
                let now = try consumer.settings + Self.settings(of: device) + Self.everythingElse()
                effects = now.difference(from: (states[device] ?? []) + state).map {
                    switch $0 {
                    case .insert(_, let line, _): "+ \(line)"
                    case .remove(_, let line, _): "- \(line)"
                    }
                }
                return effects.isEmpty
            }
        } catch { return effects }
        if try !consumer.receivesAll() { effects.append("the next consumer does not receive all frames") }
        if try !consumer.isAnswered() { effects.append("the host does not answer the next consumer") }
        return effects
    }

    private static func lines(_ command: String) throws -> [String] {
        try run("sh", "-c", command).split(separator: "\n").map(String.init)
    }

    /// Routes, addresses, neighbours, and interfaces with their bridge. What the kernel adds to the routed device by
    /// itself comes and goes with its carrier.
    private static func everythingElse() throws -> [String] {
        try lines(
            """
            (ip -4 route show table all; ip -6 route show table all) |
                sed 's/ linkdown//' | grep -v 'dev routed0 .*proto kernel'
            ip -4 rule; ip -6 rule
            ip route get 10.2.0.7 from 10.2.0.1 | head -1; ip -6 route get fd00:2::7 from fd00:2::1 | sed 's/ pref.*//'
            ip -o address | sed 's/ tentative//' | grep -v 'inet6 fe80'
            ip neighbour | grep -v 'dev routed0 \\|dev br0 ' | sed 's/ [A-Z]* *$//'
            ip -o link | sed 's/ state [A-Z]*//' | grep -v ' routed0: \\| port0: '
            ip -d link show br0 | grep -o 'root_id [^ ]*\\|stp_state [^ ]*\\|topology_change [^ ]*'
            """)
    }

    private static func settings(of device: String) throws -> [String] {
        try lines("ip -d -o link show dev \(device); bridge -d link show dev \(device)")
            + [try offloads(of: device).names.joined(separator: ",")]
    }
}

/// A consumer with both queues of a device.
private final class DeviceConsumer {
    private let lease: LeaseHolder
    private let device: String
    private var place: ConsumerRow.Place
    private static let frames = 8
    private static let experimental: UInt16 = 0x88B5

    init(_ lease: LeaseHolder, of device: String) throws {
        self.lease = lease
        self.device = device
        let network: UInt8 = device == "routed0" ? 3 : 1
        let mac = try Interface(device == "routed0" ? device : "br0")?.macAddress ?? ""
        place = ConsumerRow.Place(
            hostMAC: mac.split(separator: ":").compactMap { UInt8($0, radix: 16) }, host: [10, network, 0, 1],
            guest: [10, network, 0, 2])
    }

    func leave() {
        for queue in lease.queues.values { queue.leave() }
        lease.close()
    }

    /// Does what the row says. What the kernel refuses has no effect either.
    func act(_ row: ConsumerRow) throws {
        guard let queue = lease.queues[0] else { throw TestFailure("there is no queue 0") }
        switch row.action {
        case .frames(let frames):
            for frame in frames(place) { try queue.write(frame) }
            // By then the host has processed them.
            #expect(try isAnswered(), "\(row.name), on \(device)")
        case .control(let number, .value(let value)): queue.control(number, value)
        case .control(let number, .bytes(let bytes)): queue.control(number, bytes)
        }
    }

    /// Settings that only the queues tell.
    var settings: [String] {
        [0, 1].map { index in
            guard let queue = lease.queues[index] else { return "no queue \(index)" }
            return "queue \(index): \(queue.vnetHeaderSize) \(queue.sendBufferBytes ?? -1) \(queue.isLittleEndian) "
                + "\(queue.isAttached == true)"
        }
    }

    /// Whether the host answers a request for its address.
    func isAnswered() throws -> Bool {
        let broadcast = [UInt8](repeating: 0xFF, count: 6)
        let request = Frame.arp(1, from: (ConsumerRow.guestMAC, place.guest), to: (broadcast, place.host))
        let frame = Frame.ethernet(0x0806, to: broadcast, from: ConsumerRow.guestMAC, request)
        return try repeatedly {
            try lease.queues[0]?.write(frame)
            return try received { $0.count >= 32 && Array($0[12...13]) == [8, 6] && Array($0[20...21]) == [0, 2] } > 0
        }
    }

    /// Whether all frames that the host sends arrive.
    func receivesAll() throws -> Bool {
        let socket = steering_open(Int32(lease.interfaceIndex))
        defer { close(socket) }
        let frame = Frame.ethernet(Self.experimental, to: ConsumerRow.guestMAC, from: place.hostMAC, [])
        // A new carrier lets packets through only after a short delay.
        return try repeatedly {
            for _ in 0..<Self.frames { _ = steering_send(socket, 0, frame, frame.count) }
            return try received { Array($0[12...13]) == Frame.big(Self.experimental) } == Self.frames
        }
    }

    private func repeatedly(_ isSo: () throws -> Bool) throws -> Bool {
        for _ in 0..<200 {
            if try isSo() { return true }
            usleep(2_000)
        }
        return false
    }

    private func received(where isCounted: ([UInt8]) -> Bool) throws -> Int {
        lease.queues.values.reduce(0) { count, queue in count + queue.frames().filter(isCounted).count }
    }
}
