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
    /// For poll(2) and epoll_wait(2): how many milliseconds are left, rounded up, so that a wait does not end before
    /// its deadline and turn into a spin.
    public var millisecondsLeft: Int32 {
        let left = ContinuousClock.now.duration(to: self)
        guard left > .zero else { return 0 }
        return Int32(clamping: (left + .microseconds(999)).milliseconds)
    }
}
