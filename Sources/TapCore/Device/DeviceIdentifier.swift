/// A device's `uid`: made once, at random, and never used again (a UUID, RFC 9562).
public struct DeviceIdentifier: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}
