/// The delay before the next attempt after a failure: doubling from 50 ms to 60 s, with full jitter, so that devices
/// that fail at the same time are not retried at the same time.
public struct Backoff: Hashable, Sendable {
    /// The upper bound of the first delay.
    public static let delayMillisecondsMin = 50
    /// The upper bound of all delays.
    public static let delayMillisecondsMax = 60_000

    private var attempts = 0

    public init() {}

    /// A random delay of 1 ms up to the current bound. Each call counts one failure.
    public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let doubled = Self.delayMillisecondsMin << min(attempts, 11)
        attempts += 1
        return .milliseconds(Int.random(in: 1...min(doubled, Self.delayMillisecondsMax), using: &generator))
    }
}
