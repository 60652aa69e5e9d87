internal import Logging
internal import Synchronization
internal import TapEngine

/// Logs rejected requests, at most `linesMax` in each `period`; the next line after it carries the number suppressed.
final class RefusalLog: Sendable {
    /// Lines in one period.
    static let linesMax = 10
    /// Length of the period in which lines are counted.
    static let period = Duration.seconds(10)
    /// Longer details are cut off, since they may quote input of a client.
    private static let detailCharactersMax = 200

    private struct State {
        var began: ContinuousClock.Instant?
        var lines = 0
        var suppressed = 0
    }

    private let log: Logger
    private let state = Mutex(State())

    init(_ log: Logger) {
        self.log = log
    }

    /// - Parameters:
    ///   - source: Where the request came from.
    ///   - reason: Code of the problem.
    ///   - detail: Detail of the problem.
    ///   - now: The current time.
    func record(_ source: String, _ reason: String, _ detail: String, at now: ContinuousClock.Instant = .now) {
        let (isLogged, suppressed) = state.withLock { state in
            var suppressed = 0
            if state.began.map({ $0.duration(to: now) >= Self.period }) ?? true {
                suppressed = state.suppressed
                state = State(began: now)
            }
            let isLogged = state.lines < Self.linesMax
            if isLogged { state.lines += 1 } else { state.suppressed += 1 }
            return (isLogged, suppressed)
        }
        if suppressed > 0 {
            log.notice("more requests were refused than are logged", metadata: ["count": "\(suppressed)"])
        }
        guard isLogged else { return }
        log.notice(
            "refused",
            metadata: [
                "source": "\(source)", "code": "\(reason)", "detail": "\(detail.prefix(Self.detailCharactersMax))",
            ])
    }
}
