internal import Logging
internal import Synchronization
internal import TapEngine

/// Logs rejected requests, at most `linesMax` in each `stretch`; the next line after it carries the number suppressed.
final class RefusalLog: Sendable {
    /// Lines in one stretch.
    static let linesMax = 10
    /// Length of the period in which lines are counted.
    static let stretch = Duration.seconds(10)
    /// Longer details are cut off, since they may quote input of a client.
    private static let detailCharactersMax = 200

    private struct State {
        var began: ContinuousClock.Instant?
        var lines = 0
        var unsaid = 0
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
    func tell(_ source: String, _ reason: String, _ detail: String, at now: ContinuousClock.Instant = .now) {
        let (isSaid, unsaid) = state.withLock { state in
            var unsaid = 0
            if state.began.map({ $0.duration(to: now) >= Self.stretch }) ?? true {
                unsaid = state.unsaid
                state = State(began: now)
            }
            let isSaid = state.lines < Self.linesMax
            if isSaid { state.lines += 1 } else { state.unsaid += 1 }
            return (isSaid, unsaid)
        }
        if unsaid > 0 { log.notice("more requests were refused than are logged", metadata: ["count": "\(unsaid)"]) }
        guard isSaid else { return }
        log.notice(
            "refused",
            metadata: [
                "source": "\(source)", "code": "\(reason)", "detail": "\(detail.prefix(Self.detailCharactersMax))",
            ])
    }
}
