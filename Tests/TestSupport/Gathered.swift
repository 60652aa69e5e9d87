import Synchronization

/// Collects values from several threads.
public final class Gathered<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    public init() {}

    /// Adds a value.
    public func add(_ value: Value) { values.withLock { $0.append(value) } }

    /// All values, in the order in which they were added.
    public var all: [Value] { values.withLock { $0 } }
}
