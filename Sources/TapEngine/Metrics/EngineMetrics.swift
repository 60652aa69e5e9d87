package import TapCore
internal import TapSystem

/// Everything that the engine counts. The names are part of the API.
///
/// To declare an instrument here is all that it needs: an exposition has every instrument, in the order of declaration.
package final class EngineMetrics: Sendable {
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
    let leaseHandoffs = Counter(
        "tapster_lease_handoffs_total", "Leases that were asked for, by what came of it.", labels: ["result"],
        known: [["success"], ["refused"]])
    let leasesEnded = Counter(
        "tapster_leases_ended_total", "Leases that are over, by reason.", labels: ["reason"])
    let lastSuccess = Gauge(
        "tapster_reconcile_last_success_timestamp_seconds", "When a pass last came to its end, in Unix time.")
    package let passDevices = Gauge(
        "tapster_reconcile_pass_devices", "Devices that the last pass with work had to look at.")
    package let passDevicesLeft = Gauge(
        "tapster_reconcile_pass_devices_left", "Devices that the pass under way has not come to.")
    let passDuration = Histogram("tapster_reconcile_duration_seconds", "Time of a pass.")
    let queueWait = Histogram(
        "tapster_workqueue_wait_seconds", "Longest wait of a changed device for its pass.")
    let commitDuration = Histogram(
        "tapster_database_commit_duration_seconds", "Time of a user's write, durable.")

    package init() {}

    /// Where the worker puts the ways to the kernel's own counters.
    package let statistics = StatisticsSources()

    package func countRefusal(_ error: KernelError) {
        kernelErrors.increment([error.operation, error.errno.description])
    }
}

package enum Instruments {
    /// Those that an object has as stored properties, in the order of declaration. Reflection takes some 10 µs of a
    /// scrape.
    package static func all(of object: Any) -> [any Instrument] {
        Mirror(reflecting: object).children.compactMap { $0.value as? any Instrument }
    }
}
