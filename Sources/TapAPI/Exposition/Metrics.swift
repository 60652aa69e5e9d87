internal import Foundation
internal import TapCore
internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// Everything that the API counts, and the exposition of all metrics. The names are part of the API.
///
/// To declare an instrument here is all that it needs: an exposition has every instrument, in the order of declaration.
final class Metrics: Sendable {
    let engine: EngineMetrics
    let rejected = Counter(
        "tapster_http_rejected_total", "Requests that never reached a handler, and connections cut off.",
        labels: ["reason"],
        known: HTTPRejection.allCases.map { [$0.rawValue] } + HTTPCutOff.allCases.map { [$0.rawValue] })
    let watchersDropped = Counter(
        "tapster_watch_dropped_total", "Watchers that were cut off, by reason.", labels: ["reason"])
    let requests = RequestCounter()
    let watchers = Gauge("tapster_watchers", "Who watches now.")
    let requestDuration = Histogram(
        "tapster_http_request_duration_seconds", "From a request's headers to its answer; parked time counts.")

    init(engine: EngineMetrics = EngineMetrics()) {
        self.engine = engine
    }

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
        for instrument in Instruments.all(of: engine) + Instruments.all(of: self) { text.write(instrument.family) }
        ProcessMetrics.write(to: &text)
        text.end()
        return text.bytes
    }

    private func gauge(_ text: inout MetricsText, _ name: String, _ help: String, _ value: Double) {
        text.family(name, help)
        text.sample(name, [], value)
    }
}
