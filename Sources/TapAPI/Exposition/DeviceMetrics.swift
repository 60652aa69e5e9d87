internal import HashTreeCollections
internal import TapCore
internal import TapStore
internal import TapEngine

/// Metrics of the devices, from the snapshot and from the counters of the kernel.
struct DeviceMetrics {
    private struct Row {
        let view: DeviceView
        /// The bytes between `{device="` and the value of each line, without the space: `web0"}`.
        let label: [UInt8]
        let phase: DevicePhase
        /// `nil` if the device has no interface or its counters were not read.
        let statistics: LinkStatistics?
    }

    private let rows: [Row]
    private let statistics: StatisticsReading
    /// Whether the counters were read, by namespace; without the daemon's own.
    private var namespaces: [NetworkNamespace: Bool]

    init(_ snapshot: Snapshot, _ statistics: StatisticsReading) {
        self.statistics = statistics
        var namespaces: [NetworkNamespace: Bool] = [:]
        for case (let location?, let isRead) in statistics.isRead { namespaces[location] = isRead }
        rows = snapshot.devices.values.sorted { $0.record.name < $1.record.name }.map { view in
            let record = view.record
            // A namespace that the worker could not enter has no reading.
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
        each(&text, "tapster_device_ready", "1 if the kernel was read and matches the spec, else 0.") {
            $0.phase == .ready ? 1 : 0
        }
        each(&text, "tapster_device_generation", "Generation of the spec.") { UInt64($0.view.record.generation) }
        each(
            &text, "tapster_device_observed_generation",
            "Generation of the spec at the last comparison with the kernel."
        ) { UInt64($0.view.status.observedGeneration) }
        each(&text, "tapster_device_carrier", "1 if the device has a carrier, else 0.") {
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
        text.family("tapster_leases", "Active leases.")
        text.sample("tapster_leases", [], UInt64(rows.reduce(0) { $0 + $1.view.leases.count }))
        let success = "tapster_statistics_success"
        text.family(
            success,
            "1 if the counters of the devices were read, else 0; the daemon's network namespace has no name.")
        text.sample(success, [("network_namespace", "")], UInt64(statistics.isRead[nil] == true ? 1 : 0))
        for (location, isRead) in namespaces.sorted(by: { $0.key < $1.key }) {
            text.sample(success, [("network_namespace", location.text)], UInt64(isRead ? 1 : 0))
        }
        let duration = "tapster_statistics_duration_seconds"
        text.family(duration, "Duration of reading the counters of the devices.")
        text.sample(duration, [], statistics.seconds)
    }

    private func writeInformation(to text: inout MetricsText) {
        let name = "tapster_device_info"
        text.family(name, "Always 1; the labels hold fields of the spec.")
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
        writeQueues(
            "tapster_device_queues", "Open queues: attached queues get packets, detached queues do not.", to: &text
        ) { status in
            status.link?.tun.map { ($0.attachedQueues ?? 0, $0.detachedQueues ?? 0) }
        }
        writeQueues(
            "tapster_device_stray_queues", "Open queues that are not leased, or exceed the spec's.", to: &text
        ) { status in
            status.link?.tun.map { _ in (status.strayQueues?.attached ?? 0, status.strayQueues?.detached ?? 0) }
        }
    }

    private func writeQueues(
        _ name: String, _ help: String, to text: inout MetricsText,
        _ counts: (DeviceStatus) -> (attached: Int, detached: Int)?
    ) {
        text.family(name, help)
        let beginning = Array("\(name){device=\"".utf8)
        for row in rows {
            guard let counts = counts(row.view.status) else { continue }
            for (state, count) in [("attached", counts.attached), ("detached", counts.detached)] {
                text.append(beginning)
                text.append(row.view.record.name.text)
                text.append("\",state=\"")
                text.append(state)
                text.append("\"}")
                text.finish(UInt64(count))
            }
        }
    }

    private func writeTraffic(to text: inout MetricsText) {
        func count(_ name: String, _ help: String, _ value: (LinkStatistics) -> UInt64) {
            each(&text, name, help, .counter) { row in row.statistics.map(value) }
        }
        count("tapster_device_receive_bytes_total", "Bytes received by the host.") { $0.received.bytes }
        count("tapster_device_receive_packets_total", "Packets received by the host.") { $0.received.packets }
        count("tapster_device_receive_errors_total", "Packets not received because of an error.") {
            $0.received.errors
        }
        count("tapster_device_receive_dropped_total", "Packets dropped instead of being received.") {
            $0.received.dropped
        }
        count("tapster_device_transmit_bytes_total", "Bytes transmitted by the host.") { $0.transmitted.bytes }
        count("tapster_device_transmit_packets_total", "Packets transmitted by the host.") {
            $0.transmitted.packets
        }
        count("tapster_device_transmit_errors_total", "Packets not transmitted because of an error.") {
            $0.transmitted.errors
        }
        count("tapster_device_transmit_dropped_total", "Packets dropped instead of being transmitted.") {
            $0.transmitted.dropped
        }
    }
}
