/// How often one device's fields may be repaired: two controllers that fight would otherwise never stop.
public struct RepairBudget: Sendable {
    /// Within `windowSeconds`, for each field.
    public static let repairsMax = 5
    public static let windowSeconds = 60

    private var repairs: [DeviceField: [ContinuousClock.Instant]] = [:]

    public init() {}

    /// Counts a repair.
    public mutating func note(_ field: DeviceField, at now: ContinuousClock.Instant) {
        let recent = (repairs[field] ?? []).filter { $0.duration(to: now) < .seconds(Self.windowSeconds) }
        repairs[field] = recent + [now]
    }

    /// Fields that have been repaired so often that they are left alone for now.
    public func contested(at now: ContinuousClock.Instant) -> Set<DeviceField> {
        Set(repairs.keys.filter { due($0, at: now) != nil })
    }

    /// When the first contested field may be repaired again; nothing when none is contested.
    public func due(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        repairs.keys.compactMap { due($0, at: now) }.min()
    }

    private func due(_ field: DeviceField, at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let recent = (repairs[field] ?? []).filter { $0.duration(to: now) < .seconds(Self.windowSeconds) }
        guard recent.count >= Self.repairsMax else { return nil }
        return recent[recent.count - Self.repairsMax] + .seconds(Self.windowSeconds)
    }
}
