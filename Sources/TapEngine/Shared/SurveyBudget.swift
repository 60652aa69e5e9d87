/// When the worker may next read the kernel for questions, so that these take at most a tenth of its time, however many
/// clients ask, and questions in quick succession share one read.
///
/// A question is never answered from a read that began before it: what the client has done before is in the answer.
struct SurveyBudget {
    /// From the beginning of one survey to that of the next.
    static let interval = Duration.milliseconds(250)
    /// How many times as long as the survey the pause after it is.
    static let pauseFactor = 9
    /// The longest pause, so that a client gets its answer.
    static let pauseMax = Duration.seconds(3)

    /// The earliest time of the next survey.
    private(set) var due: ContinuousClock.Instant

    init(_ now: ContinuousClock.Instant) {
        due = now
    }

    /// Notes a survey that began at `began` and took so long.
    mutating func note(_ began: ContinuousClock.Instant, took time: Duration) {
        due = began + max(Self.interval, time + min(time * Self.pauseFactor, Self.pauseMax))
    }
}
