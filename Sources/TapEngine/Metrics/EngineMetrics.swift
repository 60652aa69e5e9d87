package import TapCore
internal import TapSystem

/// All instruments of the engine. The metric names are part of the API.
///
/// Declaring an instrument is enough: an exposition has all of them, in the order of declaration.
package final class EngineMetrics: Sendable {
    let passes = Counter(
        "tapster_reconcile_passes_total", "Reconcile passes by result.", labels: ["result"],
        known: [["success"], ["error"]])
    let driftRepairs = Counter(
        "tapster_drift_repairs_total", "Repaired external changes by field.", labels: ["field"],
        known: DeviceField.allCases.map { [$0.rawValue] })
    let operations = Counter(
        "tapster_kernel_operations_total", "Successful kernel operations by operation.", labels: ["operation"])
    let kernelErrors = Counter(
        "tapster_kernel_errors_total", "Failed kernel operations by operation and errno.",
        labels: ["operation", "errno"])
    let overruns = Counter("tapster_netlink_overruns_total", "Losses of kernel notifications (ENOBUFS).")
    let leaseHandoffs = Counter(
        "tapster_lease_handoffs_total", "Lease requests by result.", labels: ["result"],
        known: [["success"], ["refused"]])
    let leasesEnded = Counter(
        "tapster_leases_ended_total", "Ended leases by reason.", labels: ["reason"],
        known: LeaseEnd.allCases.map { [$0.rawValue] })
    let lastSuccess = Gauge(
        "tapster_reconcile_last_success_timestamp_seconds", "When the last successful pass ended, in Unix time.")
    /// Set by the worker at the start of a pass.
    package let passDevices = Gauge(
        "tapster_reconcile_pass_devices", "Devices in the last pass that had work.")
    /// Updated by the worker before each batch; zero between passes.
    package let passDevicesLeft = Gauge(
        "tapster_reconcile_pass_devices_left", "Devices that the current pass has not processed yet.")
    let passDuration = Histogram("tapster_reconcile_duration_seconds", "Duration of a pass.")
    let queueWait = Histogram(
        "tapster_workqueue_wait_seconds", "Longest wait of a changed device for its pass.")
    let commitDuration = Histogram(
        "tapster_database_commit_duration_seconds", "Duration of a user's write until it is durable.")

    package init() {}

    /// The sources of the kernel's own counters, kept current by the worker.
    package let statistics = StatisticsSources()

    /// Counts a failed kernel operation.
    package func countRefusal(_ error: KernelError) {
        kernelErrors.increment([error.operation, error.errno.description])
    }
}

/// Finds the instruments of an object.
package enum Instruments {
    /// The instruments among an object's stored properties, in the order of declaration. Reflection takes some 10 µs
    /// per scrape.
    package static func all(of object: Any) -> [any Instrument] {
        Mirror(reflecting: object).children.compactMap { $0.value as? any Instrument }
    }
}
