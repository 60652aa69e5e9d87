/// How long to wait before the next attempt after a failure: doubling from 50 ms to 60 s, with full jitter, so that
/// many devices that fail together do not come back together.
public struct Backoff: Hashable, Sendable {
    public static let delayMillisecondsMin = 50
    public static let delayMillisecondsMax = 60_000

    private var attempts = 0

    public init() {}

    /// The delay before the next attempt; each call counts one failure.
    public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let doubled = Self.delayMillisecondsMin << min(attempts, 11)
        attempts += 1
        return .milliseconds(Int.random(in: 1...min(doubled, Self.delayMillisecondsMax), using: &generator))
    }
}
