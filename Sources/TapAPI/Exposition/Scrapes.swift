internal import Synchronization
internal import TapCore
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// Answers scrapes on a thread of its own, one after the other. Scrapes within `sharedMilliseconds` share one text.
final class Scrapes: Sendable {
    /// Maximum age of a text.
    static let sharedMilliseconds = 250
    /// Most waiting scrapes.
    static let waitingMax = 256

    private struct Scrape: Sendable {
        let format: MetricsFormat
        let answer: @Sendable (HTTPBody) -> Void
    }

    private let thread: SerialThread<Scrape>
    private let reader: StatisticsReader

    init(_ engine: Engine, metrics: Metrics) {
        let reader = StatisticsReader(engine.metrics.statistics)
        let page = Mutex(Page())
        self.reader = reader
        thread = SerialThread("tapster-scrape", waitingMax: Self.waitingMax) { scrapes in
            for scrape in scrapes {
                let body = page.withLock { page in
                    page.body(scrape.format, metrics, read: reader.read) { statistics in
                        Metrics.Figures(
                            snapshot: engine.health, statistics: statistics, queueDepth: engine.waitingDevices,
                            walBytes: engine.walBytes)
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

    /// - Returns: `false` if too many scrapes wait, or after `stop`.
    func add(_ format: MetricsFormat, _ answer: @escaping @Sendable (HTTPBody) -> Void) -> Bool {
        thread.add(Scrape(format: format, answer: answer))
    }

    /// Answers the waiting scrapes and stops the thread.
    func stop() {
        thread.stop()
        reader.stop()
    }

    /// The last text, in the formats that were requested.
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
                    metrics.engine.countRefusal(error)
                }
                made = .now
            }
            if let body = bodies[format] { return body }
            let bytes = metrics.bytes(format, figures(statistics), bytesExpected: bytesExpected)
            // Capacity for the next text, with room to grow, to avoid reallocation.
            bytesExpected = bytes.count + bytes.count / 8
            let body = HTTPBody(bytes)
            bodies[format] = body
            return body
        }
    }
}
