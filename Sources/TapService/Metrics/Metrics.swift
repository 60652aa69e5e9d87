internal import Foundation
internal import TapCore
internal import TapHTTP

/// Everything that Tapster counts. The names are part of the API.
///
/// To declare an instrument here is all that it needs: an exposition has every instrument, in the order of declaration.
final class Metrics: Sendable {
    let passes = Counter(
        "tapster_reconcile_passes_total", "Passes of the worker by result.", labels: ["result"],
        known: [["success"], ["error"]])
    let driftRepairs = Counter(
        "tapster_drift_repairs_total", "Fields that others had changed and that were put right.", labels: ["field"],
        known: DeviceField.allCases.map { [$0.rawValue] })
    let operations = Counter(
        "tapster_kernel_operations_total", "Steps that the kernel has done.", labels: ["operation"])
    let kernelErrors = Counter(
        "tapster_kernel_errors_total", "Steps that the kernel has refused.", labels: ["operation", "errno"])
    let overruns = Counter("tapster_netlink_overruns_total", "Times that kernel notifications were lost.")
    let rejected = Counter(
        "tapster_http_rejected_total", "Requests that never reached a handler, and connections cut off.",
        labels: ["reason"],
        known: HTTPRejection.allCases.map { [$0.rawValue] } + HTTPCutOff.allCases.map { [$0.rawValue] })
    let leaseHandoffs = Counter(
        "tapster_lease_handoffs_total", "Leases that were asked for, by what came of it.", labels: ["result"],
        known: [["success"], ["refused"]])
    let leasesEnded = Counter("tapster_leases_ended_total", "Leases that are over, by reason.", labels: ["reason"])
    let watchersDropped = Counter(
        "tapster_watch_dropped_total", "Watchers that were cut off, by reason.", labels: ["reason"])
    let requests = RequestCounter()
    let lastSuccess = Gauge(
        "tapster_reconcile_last_success_timestamp_seconds", "When a pass last came to its end, in Unix time.")
    let passDevices = Gauge("tapster_reconcile_pass_devices", "Devices that the last pass with work had to look at.")
    let passDevicesLeft = Gauge(
        "tapster_reconcile_pass_devices_left", "Devices that the pass under way has not come to.")
    let watchers = Gauge("tapster_watchers", "Who watches now.")
    let passDuration = Histogram("tapster_reconcile_duration_seconds", "Time of a pass.")
    let queueWait = Histogram("tapster_workqueue_wait_seconds", "Longest wait of a changed device for its pass.")
    let requestDuration = Histogram(
        "tapster_http_request_duration_seconds", "From a request's headers to its answer; parked time counts.")
    let commitDuration = Histogram("tapster_database_commit_duration_seconds", "Time of a user's write, durable.")

    /// Where the worker puts the ways to the kernel's own counters.
    let statistics = StatisticsSources()

    private let started = Date().timeIntervalSince1970

    /// What is told that is not counted here.
    struct Figures {
        /// The devices as readers see them.
        let snapshot: Snapshot
        let statistics: StatisticsReading
        let queueDepth: Int
        let walBytes: Int
    }

    /// All of it.
    func bytes(_ format: MetricsFormat, _ figures: Figures, bytesExpected: Int) -> [UInt8] {
        var text = MetricsText(format, bytesExpected: bytesExpected)
        text.family("tapster_build_info", "Always 1; the version is a label.")
        text.sample("tapster_build_info", [("version", Tapster.version)], UInt64(1))
        gauge(&text, "tapster_ready", "Whether readyz says yes.", figures.snapshot.isHealthy ? 1 : 0)
        gauge(&text, "tapster_start_time_seconds", "When the daemon started, in Unix time.", started)
        DeviceMetrics(figures.snapshot, figures.statistics).write(to: &text)
        gauge(
            &text, "tapster_workqueue_depth", "Changed devices that wait for a pass.", Double(figures.queueDepth))
        gauge(&text, "tapster_database_wal_bytes", "Size of the write-ahead log.", Double(figures.walBytes))
        for instrument in instruments { instrument.write(to: &text) }
        ProcessMetrics.write(to: &text)
        text.end()
        return text.bytes
    }

    /// Found by reflection, which takes some 10 µs of a scrape.
    private var instruments: [any Instrument] {
        Mirror(reflecting: self).children.compactMap { $0.value as? any Instrument }
    }

    func countRefusal(_ error: KernelError) {
        kernelErrors.increment([error.operation, error.errno.description])
    }

    private func gauge(_ text: inout MetricsText, _ name: String, _ help: String, _ value: Double) {
        text.family(name, help)
        text.sample(name, [], value)
    }
}
