internal import Dispatch

/// Calls a function once at a time that can be changed.
public final class DeadlineTimer: Sendable {
    // SAFETY: a dispatch source may be used from any thread, but its protocol is not `Sendable`.
    private nonisolated(unsafe) let source = DispatchSource.makeTimerSource()

    public init() {
        unsafe source.resume()
    }

    /// Sets the function. Call it once, before `schedule`.
    ///
    /// - Parameter action: Runs on a thread of Dispatch, so it must not block. It must not keep the timer alive.
    public func onTime(_ action: @escaping @Sendable () -> Void) {
        unsafe source.setEventHandler { action() }
    }

    deinit {
        unsafe source.cancel()
    }

    /// Sets the time, and replaces an earlier one. A negative duration counts as zero.
    public func schedule(after time: Duration) {
        unsafe source.schedule(deadline: .now() + .milliseconds(max(0, time.milliseconds)))
    }

    /// Sets the time, and replaces an earlier one. Rounds up to whole milliseconds.
    public func schedule(at time: ContinuousClock.Instant) {
        schedule(after: ContinuousClock.now.duration(to: time) + .microseconds(999))
    }

    /// Releases the function, which is not called again.
    public func end() {
        unsafe source.setEventHandler {}
        unsafe source.cancel()
    }
}
