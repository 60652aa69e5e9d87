internal import Logging
internal import Synchronization
internal import TapEngine

/// Tells the log who was not let in: not more often than somebody reads, however many knock. How many more there were
/// is told with the next one.
final class RefusalLog: Sendable {
    /// Lines in one stretch of time.
    static let linesMax = 10
    static let stretch = Duration.seconds(10)
    /// Of what was wrong: it may quote what a client has sent.
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
    ///   - source: From where the request came.
    ///   - reason: The problem's code.
    ///   - detail: What was wrong.
    ///   - now: When.
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
        if unsaid > 0 { log.notice("more were refused than are told here", metadata: ["count": "\(unsaid)"]) }
        guard isSaid else { return }
        log.notice(
            "refused",
            metadata: [
                "source": "\(source)", "code": "\(reason)", "detail": "\(detail.prefix(Self.detailCharactersMax))",
            ])
    }
}
