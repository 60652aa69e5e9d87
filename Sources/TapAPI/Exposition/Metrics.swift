internal import Foundation
internal import TapCore
internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// The metrics of the API, and the exposition of all metrics. Their names are part of the API.
///
/// An exposition contains every instrument declared here, in the order of declaration.
final class Metrics: Sendable {
    let engine: EngineMetrics
    let rejected = Counter(
        "tapster_http_rejected_total",
        "Requests rejected before a handler, and connections closed by the server, by reason.",
        labels: ["reason"],
        known: HTTPRejection.allCases.map { [$0.rawValue] } + HTTPCutOff.allCases.map { [$0.rawValue] })
    let watchersDropped = Counter(
        "tapster_watch_dropped_total", "Watches ended by the server, by reason.", labels: ["reason"])
    let requests: RequestCounter
    let watchers = Gauge("tapster_watchers", "Open watch streams.")
    let requestDurations: RequestDurations

    private let droppedLogLines: @Sendable () -> UInt64

    init(
        engine: EngineMetrics = EngineMetrics(), droppedLogLines: @escaping @Sendable () -> UInt64 = { 0 }
    ) {
        self.engine = engine
        self.droppedLogLines = droppedLogLines
        requests = RequestCounter()
        requestDurations = RequestDurations(of: requests)
    }

    private let started = Date().timeIntervalSince1970

    /// Values sampled at scrape time.
    struct Figures {
        /// The published snapshot.
        let snapshot: Snapshot
        let statistics: StatisticsReading
        let queueDepth: Int
        let walBytes: Int
    }

    /// The exposition in UTF-8. `bytesExpected` is the capacity to reserve.
    func bytes(_ format: MetricsFormat, _ figures: Figures, bytesExpected: Int) -> [UInt8] {
        var text = MetricsText(format, bytesExpected: bytesExpected)
        text.family("tapster_build_info", "Always 1; the version is a label.")
        text.sample("tapster_build_info", [("version", Tapster.version)], UInt64(1))
        gauge(&text, "tapster_ready", "1 if GET /readyz answers 200, else 0.", figures.snapshot.isHealthy ? 1 : 0)
        gauge(&text, "tapster_start_time_seconds", "When the daemon started, in Unix time.", started)
        DeviceMetrics(figures.snapshot, figures.statistics).write(to: &text)
        gauge(
            &text, "tapster_workqueue_depth", "Changed devices that wait for a pass of the worker.",
            Double(figures.queueDepth))
        gauge(
            &text, "tapster_database_wal_bytes", "Size of the write-ahead log of the database.",
            Double(figures.walBytes))
        text.family(
            "tapster_log_lines_dropped_total", "Log lines dropped since the reader of standard error did not read.",
            .counter)
        text.sample("tapster_log_lines_dropped_total", [], droppedLogLines())
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
