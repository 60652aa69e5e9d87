internal import Dispatch
internal import Synchronization
package import TapCore
package import TapSystem

/// The ways to the kernel's counters, one for each namespace in which the worker works at present.
package final class StatisticsSources: Sendable {
    private let all = Mutex<[NetworkNamespace?: any LinkStatisticsSource]>([:])

    func set(_ source: (any LinkStatisticsSource)?, at location: NetworkNamespace?) {
        all.withLock { $0[location] = source }
    }

    fileprivate var present: [NetworkNamespace?: any LinkStatisticsSource] { all.withLock { $0 } }
}

/// What the kernel had counted at one moment.
package struct StatisticsReading: Sendable {
    package var links: [HostIdentity: [LinkIndex: LinkStatistics]] = [:]
    /// Of each namespace, whether it was read.
    package var isRead: [NetworkNamespace?: Bool] = [:]
    package var failures: [KernelError] = []
    /// How long it took.
    package var seconds = 0.0

    package init(isRead: [NetworkNamespace?: Bool] = [:]) {
        self.isRead = isRead
    }
}

/// Reads the kernel's counters on a thread of its own: whoever deletes a thousand interfaces in one call holds the
/// kernel's rtnl lock for so long, and then the thread waits where nothing can wake it.
package final class StatisticsReader: Sendable {
    /// The longest that a scrape waits for the kernel; Prometheus gives a scrape 10 s.
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
        // Behind one that waits for the kernel, another one would only wait longer.
        thread = SerialThread("tapster-counts", waitingMax: 1) { questions in
            for question in questions {
                Self.answer(question, sources.present)
                question.isAnswered.signal()
            }
        }
    }

    package func start() throws(ThreadFailure) { try thread.start() }

    /// What could be read in time.
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

    /// Does not wait for the kernel.
    package func stop() { thread.finish() }

    /// One dump for each namespace, though two locations may lead to it.
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
