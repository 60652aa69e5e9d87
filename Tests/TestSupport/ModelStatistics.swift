import TapSystem
import Foundation
import TapCore

/// A namespace's counters in memory, which can be made slow or unavailable.
public final class ModelStatistics: LinkStatisticsSource, @unchecked Sendable {
    // Unchecked: everything mutable is accessed only while `condition` is locked.

    /// The namespace.
    public let host: NamespaceIdentity
    private let condition = NSCondition()
    private var all: [LinkIndex: LinkStatistics] = [:]
    private var failure: Errno?
    private var isBlocked = false
    private var readCount = 0

    init(_ host: NamespaceIdentity) {
        self.host = host
    }

    /// Sets the counters of an interface.
    public func set(_ index: LinkIndex, _ statistics: LinkStatistics) { condition.withLock { all[index] = statistics } }

    /// Lets reads fail with this error; `nil` lets them succeed again.
    public func fail(with errno: Errno?) { condition.withLock { failure = errno } }

    /// Blocks readers, or lets them go on.
    public func block(_ isBlocked: Bool) {
        condition.withLock {
            self.isBlocked = isBlocked
            condition.broadcast()
        }
    }

    /// The number of reads.
    public var reads: Int { condition.withLock { readCount } }

    /// The counters by interface; waits while blocked.
    public func read() throws(KernelError) -> [LinkIndex: LinkStatistics] {
        let (all, failure) = condition.withLock {
            readCount += 1
            while isBlocked { condition.wait() }
            return (self.all, self.failure)
        }
        if let failure { throw KernelError("read_statistics", failure) }
        return all
    }
}
