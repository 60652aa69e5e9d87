internal import Synchronization
internal import TapCore
internal import TapHTTP
internal import TapStore
internal import TapSystem

/// Answers scrapes on a thread of its own, one after the other. Those that come while one is made, or soon after it,
/// are answered with its text.
final class Scrapes: Sendable {
    /// How old a text may be.
    static let sharedMilliseconds = 250
    /// Scrapes that wait.
    static let waitingMax = 256

    private struct Scrape: Sendable {
        let format: MetricsFormat
        let answer: @Sendable (HTTPBody) -> Void
    }

    private let thread: SerialThread<Scrape>
    private let reader: StatisticsReader

    init(health: Health, metrics: Metrics) {
        let reader = StatisticsReader(metrics.statistics)
        let page = Mutex(Page())
        self.reader = reader
        thread = SerialThread("tapster-scrape", waitingMax: Self.waitingMax) { scrapes in
            for scrape in scrapes {
                let body = page.withLock { page in
                    page.body(scrape.format, metrics, read: reader.read) { statistics in
                        Metrics.Figures(
                            snapshot: health.snapshot, statistics: statistics, queueDepth: health.inbox.depth,
                            walBytes: health.store.walBytes)
                    }
                }
                scrape.answer(body)
            }
        }
    }

    func start() throws(ThreadFailure) {
        try reader.start()
        try thread.start()
    }

    /// - Returns: False when too many wait, or the daemon ends.
    func add(_ format: MetricsFormat, _ answer: @escaping @Sendable (HTTPBody) -> Void) -> Bool {
        thread.add(Scrape(format: format, answer: answer))
    }

    /// Answers those that wait.
    func stop() {
        thread.stop()
        reader.stop()
    }

    /// The last one that was made, in the formats that somebody has asked for.
    private struct Page {
        private var statistics = StatisticsReading()
        private var bodies: [MetricsFormat: HTTPBody] = [:]
        private var made: ContinuousClock.Instant?
        private var bytesExpected = 0

        mutating func body(
            _ format: MetricsFormat, _ metrics: Metrics, read: () -> StatisticsReading,
            figures: (StatisticsReading) -> Metrics.Figures
        ) -> HTTPBody {
            let isFresh = made.map { $0.duration(to: .now) < .milliseconds(Scrapes.sharedMilliseconds) } ?? false
            if !isFresh {
                bodies = [:]
                statistics = read()
                for error in statistics.failures {
                    metrics.countRefusal(error)
                }
                made = .now
            }
            if let body = bodies[format] { return body }
            let bytes = metrics.bytes(format, figures(statistics), bytesExpected: bytesExpected)
            // Room for what comes next time, so that the bytes need not be moved.
            bytesExpected = bytes.count + bytes.count / 8
            let body = HTTPBody(bytes)
            bodies[format] = body
            return body
        }
    }
}
