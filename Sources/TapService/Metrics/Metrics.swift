internal import Foundation
internal import HashTreeCollections
internal import TapCore
internal import TapStore

/// Everything that Tapster counts. The names are part of the API.
final class Metrics: Sendable {
    let passes = Counter("tapster_reconcile_passes_total", "Passes of the worker by result.", labels: ["result"])
    let passDuration = Histogram("tapster_reconcile_duration_seconds", "Time of a pass.")
    let lastSuccess = Gauge(
        "tapster_reconcile_last_success_timestamp_seconds", "When a pass last came to its end, in Unix time.")
    let passDevices = Gauge("tapster_reconcile_pass_devices", "Devices that the last pass with work had to look at.")
    let passDevicesLeft = Gauge(
        "tapster_reconcile_pass_devices_left", "Devices that the pass under way has not come to.")
    let queueWait = Histogram("tapster_workqueue_wait_seconds", "Longest wait of a changed device for its pass.")
    let driftRepairs = Counter(
        "tapster_drift_repairs_total", "Fields that others had changed and that were put right.", labels: ["field"])
    let operations = Counter(
        "tapster_kernel_operations_total", "Steps that the kernel has done.", labels: ["operation"])
    let kernelErrors = Counter(
        "tapster_kernel_errors_total", "Steps that the kernel has refused.", labels: ["operation", "errno"])
    let overruns = Counter("tapster_netlink_overruns_total", "Times that kernel notifications were lost.")
    let leaseHandoffs = Counter(
        "tapster_lease_handoffs_total", "Leases that were asked for, by what came of it.", labels: ["result"])
    let leasesEnded = Counter("tapster_leases_ended_total", "Leases that are over, by reason.", labels: ["reason"])
    let watchers = Gauge("tapster_watchers", "Who watches now.")
    let watchersDropped = Counter(
        "tapster_watch_dropped_total", "Watchers that were cut off, by reason.", labels: ["reason"])
    let requests = RequestCounter()
    let requestDuration = Histogram(
        "tapster_http_request_duration_seconds", "From a request's headers to its answer; parked time counts.")
    let rejected = Counter(
        "tapster_http_rejected_total", "Requests that never reached a handler.", labels: ["reason"])
    let commitDuration = Histogram("tapster_database_commit_duration_seconds", "Time of a user's write, durable.")

    private let started = Date().timeIntervalSince1970

    /// All of it, with the state of the devices as the snapshot has it.
    func text(_ snapshot: Snapshot, queueDepth: Int, walBytes: Int) -> String {
        var text = MetricsText()
        text.family("tapster_build_info", "Always 1; the version is a label.", type: "gauge")
        text.sample("tapster_build_info", [("version", Tapster.version)], 1)
        gauge(
            &text, "tapster_ready", "Whether readyz says yes.",
            snapshot.isHealthy ? 1 : 0)
        gauge(&text, "tapster_start_time_seconds", "When the daemon started, in Unix time.", started)
        devices(&text, snapshot)
        gauge(&text, "tapster_workqueue_depth", "Changed devices that wait for a pass.", Double(queueDepth))
        gauge(&text, "tapster_database_wal_bytes", "Size of the write-ahead log.", Double(walBytes))
        for counter in [
            passes, driftRepairs, operations, kernelErrors, overruns, rejected, leaseHandoffs, leasesEnded,
            watchersDropped,
        ] {
            counter.write(to: &text)
        }
        requests.write(to: &text)
        for gauge in [lastSuccess, passDevices, passDevicesLeft, watchers] { gauge.write(to: &text) }
        for histogram in [passDuration, queueWait, requestDuration, commitDuration] { histogram.write(to: &text) }
        ProcessMetrics.write(to: &text)
        return text.text
    }

    private func gauge(_ text: inout MetricsText, _ name: String, _ help: String, _ value: Double) {
        text.family(name, help, type: "gauge")
        text.sample(name, [], value)
    }

    private func devices(_ text: inout MetricsText, _ snapshot: Snapshot) {
        let views = snapshot.devices.values.sorted { $0.record.name < $1.record.name }
        let phases = Dictionary(grouping: views, by: \.phase)
        text.family("tapster_devices", "Devices by phase.", type: "gauge")
        for phase in DevicePhase.allCases {
            text.sample("tapster_devices", [("phase", phase.rawValue)], Double(phases[phase]?.count ?? 0))
        }
        func each(_ name: String, _ help: String, _ value: (DeviceView) -> Double) {
            text.family(name, help, type: "gauge")
            for view in views { text.sample(name, [("device", view.record.name.text)], value(view)) }
        }
        gauge(
            &text, "tapster_leases", "Leases that are in force.", Double(views.reduce(0) { $0 + $1.leases.count }))
        let queues = "tapster_device_queues"
        text.family(
            queues, "Queues that are open in the kernel: those it steers to, and those that are held.", type: "gauge")
        for view in views {
            let device = ("device", view.record.name.text)
            guard let tun = view.status.link?.tun else { continue }
            text.sample(queues, [device, ("state", "attached")], Double(tun.attachedQueues ?? 0))
            text.sample(queues, [device, ("state", "detached")], Double(tun.detachedQueues ?? 0))
        }
        each("tapster_device_ready", "Whether the kernel was read back and found as wanted.") {
            $0.phase == .ready ? 1 : 0
        }
        each("tapster_device_generation", "Generation of the spec.") { Double($0.record.generation) }
        each("tapster_device_observed_generation", "Generation that the last look compared the kernel with.") {
            Double($0.status.observedGeneration)
        }
        each("tapster_device_carrier", "Whether the device has a carrier.") { $0.status.link?.carrier == true ? 1 : 0 }
    }
}
