internal import HashTreeCollections
internal import TapCore
internal import TapStore
internal import TapEngine

/// What there is to tell of each device, from what readers see of it and from what the kernel has counted.
struct DeviceMetrics {
    private struct Row {
        let view: DeviceView
        /// What each of its lines has between the label's name and the value.
        let label: [UInt8]
        let phase: DevicePhase
        /// Nothing while it has no interface, or the kernel has not told.
        let statistics: LinkStatistics?
    }

    private let rows: [Row]
    private let statistics: StatisticsReading
    /// Other namespaces than the daemon's, by whether their counters were read.
    private var namespaces: [NetworkNamespace: Bool]

    init(_ snapshot: Snapshot, _ statistics: StatisticsReading) {
        self.statistics = statistics
        var namespaces: [NetworkNamespace: Bool] = [:]
        for case (let location?, let isRead) in statistics.isRead { namespaces[location] = isRead }
        rows = snapshot.devices.values.sorted { $0.record.name < $1.record.name }.map { view in
            let record = view.record
            // The worker may not have been able to enter it.
            if let location = record.spec.networkNamespace { namespaces[location] = namespaces[location] ?? false }
            return Row(
                view: view, label: Array("\(record.name.text)\"}".utf8), phase: view.phase,
                statistics: record.claim.flatMap { $0.isLost ? nil : statistics.links[$0.host]?[$0.index] })
        }
        self.namespaces = namespaces
    }

    func write(to text: inout MetricsText) {
        writeTotals(to: &text)
        writeInformation(to: &text)
        each(&text, "tapster_device_ready", "Whether the kernel was read back and found as wanted.") {
            $0.phase == .ready ? 1 : 0
        }
        each(&text, "tapster_device_generation", "Generation of the spec.") { UInt64($0.view.record.generation) }
        each(
            &text, "tapster_device_observed_generation", "Generation that the last look compared the kernel with."
        ) { UInt64($0.view.status.observedGeneration) }
        each(&text, "tapster_device_carrier", "Whether the device has a carrier.") {
            $0.view.status.link?.carrier == true ? 1 : 0
        }
        writeQueues(to: &text)
        writeTraffic(to: &text)
    }

    private func each(
        _ text: inout MetricsText, _ name: String, _ help: String, _ kind: MetricFamily.Kind = .gauge,
        _ value: (Row) -> UInt64?
    ) {
        text.family(name, help, kind)
        let beginning = Array("\(name){device=\"".utf8)
        for row in rows {
            guard let value = value(row) else { continue }
            text.append(beginning)
            text.append(row.label)
            text.finish(value)
        }
    }

    private func writeTotals(to text: inout MetricsText) {
        text.family("tapster_devices", "Devices by phase.")
        for phase in DevicePhase.allCases {
            let count = rows.reduce(0) { $0 + ($1.phase == phase ? 1 : 0) }
            text.sample("tapster_devices", [("phase", phase.rawValue)], UInt64(count))
        }
        text.family("tapster_leases", "Leases that are in force.")
        text.sample("tapster_leases", [], UInt64(rows.reduce(0) { $0 + $1.view.leases.count }))
        let success = "tapster_statistics_success"
        text.family(
            success,
            "Whether the kernel told the devices' counters, by network namespace; the daemon's own has no name.")
        text.sample(success, [("network_namespace", "")], UInt64(statistics.isRead[nil] == true ? 1 : 0))
        for (location, isRead) in namespaces.sorted(by: { $0.key < $1.key }) {
            text.sample(success, [("network_namespace", location.text)], UInt64(isRead ? 1 : 0))
        }
        let duration = "tapster_statistics_duration_seconds"
        text.family(duration, "Time that the kernel took to tell the devices' counters.")
        text.sample(duration, [], statistics.seconds)
    }

    private func writeInformation(to text: inout MetricsText) {
        let name = "tapster_device_info"
        text.family(name, "Always 1; what is wanted of the device is in the labels.")
        for row in rows {
            let spec = row.view.record.spec
            text.append("tapster_device_info{device=\"")
            text.append(row.view.record.name.text)
            text.append("\",kind=\"")
            text.append(spec.kind.rawValue)
            text.append("\",access=\"")
            text.append(spec.access.rawValue)
            text.append("\",network_namespace=\"")
            if let location = spec.networkNamespace { text.append(escaping: location.text) }
            text.append("\",controller=\"")
            if let controller = spec.link.controller { text.append(escaping: controller.text) }
            text.append("\"}")
            text.finish(UInt64(1))
        }
    }

    private func writeQueues(to text: inout MetricsText) {
        let name = "tapster_device_queues"
        text.family(name, "Queues that are open in the kernel: those it steers to, and those that are held.")
        for row in rows {
            guard let tun = row.view.status.link?.tun else { continue }
            for (state, count) in [("attached", tun.attachedQueues), ("detached", tun.detachedQueues)] {
                text.append("tapster_device_queues{device=\"")
                text.append(row.view.record.name.text)
                text.append("\",state=\"")
                text.append(state)
                text.append("\"}")
                text.finish(UInt64(count ?? 0))
            }
        }
    }

    private func writeTraffic(to text: inout MetricsText) {
        func count(_ name: String, _ help: String, _ value: (LinkStatistics) -> UInt64) {
            each(&text, name, help, .counter) { row in row.statistics.map(value) }
        }
        count("tapster_device_receive_bytes_total", "Bytes that the host has received.") { $0.received.bytes }
        count("tapster_device_receive_packets_total", "Packets that the host has received.") { $0.received.packets }
        count("tapster_device_receive_errors_total", "Packets that were not received because of an error.") {
            $0.received.errors
        }
        count("tapster_device_receive_dropped_total", "Packets that were dropped instead of being received.") {
            $0.received.dropped
        }
        count("tapster_device_transmit_bytes_total", "Bytes that the host has transmitted.") { $0.transmitted.bytes }
        count("tapster_device_transmit_packets_total", "Packets that the host has transmitted.") {
            $0.transmitted.packets
        }
        count("tapster_device_transmit_errors_total", "Packets that were not transmitted because of an error.") {
            $0.transmitted.errors
        }
        count("tapster_device_transmit_dropped_total", "Packets that were dropped instead of being transmitted.") {
            $0.transmitted.dropped
        }
    }
}
