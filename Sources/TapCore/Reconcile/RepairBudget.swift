/// Limits how often the fields of one device are repaired, so that a conflict with another program does not go on
/// forever, and ends soon after that program has stopped.
///
/// The first `repairsMax` repairs of a field are made at once. Each one after them waits, first for
/// `waitSecondsMin`, then twice as long each time up to `waitSecondsMax`. Once a repair has held for long enough, the
/// field starts anew.
public struct RepairBudget: Sendable {
    /// The most repairs of one field in a row that are made at once.
    public static let repairsMax = 5
    /// The first wait after that, from the last repair.
    public static let waitSecondsMin = 2
    /// The longest wait.
    public static let waitSecondsMax = 60
    /// A repair that has held for that long, and for twice the last wait, ends the conflict.
    public static let quietSecondsMin = 15

    private var repairs: [DeviceField: Repairs] = [:]
    /// The controller that the device has joined last.
    private var controller: LinkIndex?

    private struct Repairs {
        var count = 0
        var last: ContinuousClock.Instant

        /// The wait before the next repair; `nil` while there is none.
        private var wait: Duration? {
            guard count >= RepairBudget.repairsMax else { return nil }
            let doublings = min(count - RepairBudget.repairsMax, 5)
            return .seconds(min(RepairBudget.waitSecondsMin << doublings, RepairBudget.waitSecondsMax))
        }

        var due: ContinuousClock.Instant? { wait.map { last + $0 } }

        /// When the conflict ends, unless there is another repair.
        var end: ContinuousClock.Instant { last + max(.seconds(RepairBudget.quietSecondsMin), (wait ?? .zero) * 2) }
    }

    public init() {}

    /// Counts a repair.
    ///
    /// - Parameters:
    ///   - field: The repaired field.
    ///   - controller: The controller that the device belongs to after the repair. If it is another one than before,
    ///     such as a bridge that was deleted and made anew, joining it is no conflict.
    ///   - now: The time of the repair.
    public mutating func note(
        _ field: DeviceField, controller: LinkIndex? = nil, at now: ContinuousClock.Instant
    ) {
        var noted = repairs[field] ?? Repairs(last: now)
        if noted.end <= now { noted.count = 0 }
        if field == .controller {
            if controller != self.controller { noted.count = 0 }
            self.controller = controller
        }
        noted.count += 1
        noted.last = now
        repairs[field] = noted
    }

    /// Fields that are not to be repaired now.
    ///
    /// - Parameters:
    ///   - controller: The interface that the device is to belong to now.
    ///   - now: The current time.
    /// - Returns: The fields whose wait is not over.
    public func contested(controller: LinkIndex? = nil, at now: ContinuousClock.Instant) -> Set<DeviceField> {
        var fields = Set(repairs.filter { $0.value.due.map { $0 > now } == true }.keys)
        if let controller, controller != self.controller { fields.remove(.controller) }
        return fields
    }

    /// The first time at which a contested field may be repaired again; `nil` if none is contested.
    public func due(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        repairs.values.compactMap(\.due).filter { $0 > now }.min()
    }

    /// Whether all conflicts are over, so that this budget is equal to a new one.
    public func isQuiet(at now: ContinuousClock.Instant) -> Bool { repairs.values.allSatisfy { $0.end <= now } }
}
