/// Limits how often a field of one device is repaired, so that a conflict with another controller does not go on
/// forever.
public struct RepairBudget: Sendable {
    /// The most repairs of one field within `windowSeconds`.
    public static let repairsMax = 5
    /// The length of the sliding window.
    public static let windowSeconds = 60

    private var repairs: [DeviceField: [ContinuousClock.Instant]] = [:]

    public init() {}

    /// Counts a repair.
    public mutating func note(_ field: DeviceField, at now: ContinuousClock.Instant) {
        let recent = (repairs[field] ?? []).filter { $0.duration(to: now) < .seconds(Self.windowSeconds) }
        repairs[field] = recent + [now]
    }

    /// Fields that have reached `repairsMax` and are not to be repaired now.
    public func contested(at now: ContinuousClock.Instant) -> Set<DeviceField> {
        Set(repairs.keys.filter { due($0, at: now) != nil })
    }

    /// The first time at which a contested field may be repaired again; `nil` if none is contested.
    public func due(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        repairs.keys.compactMap { due($0, at: now) }.min()
    }

    private func due(_ field: DeviceField, at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let recent = (repairs[field] ?? []).filter { $0.duration(to: now) < .seconds(Self.windowSeconds) }
        guard recent.count >= Self.repairsMax else { return nil }
        return recent[recent.count - Self.repairsMax] + .seconds(Self.windowSeconds)
    }
}
