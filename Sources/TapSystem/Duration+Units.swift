extension Duration {
    /// Whole milliseconds, rounded down.
    public var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
    }

    /// In seconds.
    public var inSeconds: Double { self / .seconds(1) }
}

extension ContinuousClock.Instant {
    /// The milliseconds until then, for poll(2) and epoll_wait(2); 0 if it has passed. Rounded up, so that a wait does
    /// not end before its deadline and repeat without waiting.
    public var millisecondsLeft: Int32 {
        let left = ContinuousClock.now.duration(to: self)
        guard left > .zero else { return 0 }
        return Int32(clamping: (left + .microseconds(999)).milliseconds)
    }
}
