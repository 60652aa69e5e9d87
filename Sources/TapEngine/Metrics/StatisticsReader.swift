internal import Dispatch
internal import Synchronization
package import TapCore
package import TapSystem

/// The sources of the kernel's interface counters, one for each namespace that the worker has open.
package final class StatisticsSources: Sendable {
    private let all = Mutex<[NetworkNamespace?: any LinkStatisticsSource]>([:])

    func set(_ source: (any LinkStatisticsSource)?, at location: NetworkNamespace?) {
        all.withLock { $0[location] = source }
    }

    fileprivate var present: [NetworkNamespace?: any LinkStatisticsSource] { all.withLock { $0 } }
}

/// The kernel's counters at one moment.
package struct StatisticsReading: Sendable {
    /// Counters by namespace and interface.
    package var links: [NamespaceIdentity: [LinkIndex: LinkStatistics]] = [:]
    /// Whether each namespace could be read.
    package var isRead: [NetworkNamespace?: Bool] = [:]
    /// Why namespaces could not be read.
    package var failures: [KernelError] = []
    /// How long the reading took.
    package var seconds = 0.0

    package init(isRead: [NetworkNamespace?: Bool] = [:]) {
        self.isRead = isRead
    }
}

/// Reads the kernel's counters on a thread of its own: deleting a thousand interfaces in one call holds the kernel's
/// rtnl lock for the whole call, and the reading thread then waits uninterruptibly.
package final class StatisticsReader: Sendable {
    /// The longest that a scrape waits for the kernel; the default timeout of Prometheus is 10 s.
    static let waitMillisecondsMax = 1_000

    private final class Question: Sendable {
        let reading: Mutex<StatisticsReading>
        let isAnswered = DispatchSemaphore(value: 0)

        init(_ reading: StatisticsReading) {
            self.reading = Mutex(reading)
        }
    }

    private let sources: StatisticsSources
    private let thread: SerialThread<Question>

    package init(_ sources: StatisticsSources) {
        self.sources = sources
        // A second reading would only wait behind the first, so at most one waits.
        thread = SerialThread("tapster-counts", waitingMax: 1) { questions in
            for question in questions {
                Self.answer(question, sources.present)
                question.isAnswered.signal()
            }
        }
    }

    /// Starts the thread.
    ///
    /// - Throws: `ThreadFailure` if it cannot be created.
    package func start() throws(ThreadFailure) { try thread.start() }

    /// Reads the counters, and returns what could be read within `waitMillisecondsMax`.
    package func read() -> StatisticsReading {
        let began = ContinuousClock.now
        let question = Question(StatisticsReading(isRead: sources.present.mapValues { _ in false }))
        if thread.add(question) {
            _ = question.isAnswered.wait(timeout: .now() + .milliseconds(Self.waitMillisecondsMax))
        }
        var reading = question.reading.withLock { $0 }
        reading.seconds = began.duration(to: .now) / .seconds(1)
        return reading
    }

    /// Ends the thread, without waiting for the kernel.
    package func stop() { thread.finish() }

    /// Dumps the counters of each namespace once, even if two locations refer to it.
    private static func answer(_ question: Question, _ sources: [NetworkNamespace?: any LinkStatisticsSource]) {
        for (location, source) in sources {
            let isKnown = question.reading.withLock { reading in
                guard reading.links[source.host] != nil else { return false }
                reading.isRead[location] = true
                return true
            }
            if isKnown { continue }
            do throws(KernelError) {
                let links = try source.read()
                question.reading.withLock { reading in
                    reading.links[source.host] = links
                    reading.isRead[location] = true
                }
            } catch {
                question.reading.withLock { reading in
                    reading.isRead[location] = false
                    reading.failures.append(error)
                }
            }
        }
    }
}
