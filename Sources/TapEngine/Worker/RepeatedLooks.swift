internal import TapCore

/// Devices of which the worker reads the interface again each second, since the kernel does not report changes of them.
struct RepeatedLooks {
    private static let intervalMilliseconds = 1_000

    private var names: Set<DeviceName> = []
    /// When they are due; `nil` if there are none.
    private(set) var due: ContinuousClock.Instant?

    /// Adds a device, or removes it.
    mutating func set(_ name: DeviceName, isNeeded: Bool) {
        if isNeeded {
            names.insert(name)
            due = due ?? Self.next
        } else if !names.isEmpty {
            names.remove(name)
            if names.isEmpty { due = nil }
        }
    }

    /// The devices to look at now; empty before `due`.
    mutating func begin(at now: ContinuousClock.Instant) -> Set<DeviceName> {
        guard let due, due <= now else { return [] }
        self.due = Self.next
        return names
    }

    private static var next: ContinuousClock.Instant { .now + .milliseconds(intervalMilliseconds) }
}
