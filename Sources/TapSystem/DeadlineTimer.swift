internal import Dispatch

/// Calls a function at a time that may be moved.
public final class DeadlineTimer: Sendable {
    // SAFETY: a dispatch source may be used from any thread; only its protocol does not say so.
    private nonisolated(unsafe) let source = DispatchSource.makeTimerSource()

    public init() {
        unsafe source.resume()
    }

    /// To be called once, before the first time is set.
    ///
    /// - Parameter action: Called on a thread of Dispatch's, so it must not block. It must not keep the timer alive.
    public func onTime(_ action: @escaping @Sendable () -> Void) {
        unsafe source.setEventHandler { action() }
    }

    deinit {
        unsafe source.cancel()
    }

    /// Moves the time: the last call counts.
    public func schedule(after time: Duration) {
        unsafe source.schedule(deadline: .now() + .milliseconds(max(0, time.milliseconds)))
    }

    /// Moves the time: the last call counts.
    public func schedule(at time: ContinuousClock.Instant) {
        schedule(after: ContinuousClock.now.duration(to: time) + .microseconds(999))
    }

    /// Lets go of the action for good.
    public func end() {
        unsafe source.setEventHandler {}
        unsafe source.cancel()
    }
}
