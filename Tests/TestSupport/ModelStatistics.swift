import TapSystem
import Foundation
import TapCore

/// The counters of a namespace in memory, which may be slow to tell, or refuse.
public final class ModelStatistics: LinkStatisticsSource, @unchecked Sendable {
    // Unchecked: everything mutable is only touched while `condition` is locked.

    public let host: HostIdentity
    private let condition = NSCondition()
    private var all: [LinkIndex: LinkStatistics] = [:]
    private var failure: Errno?
    private var isBlocked = false
    private var readCount = 0

    init(_ host: HostIdentity) {
        self.host = host
    }

    public func set(_ index: LinkIndex, _ statistics: LinkStatistics) { condition.withLock { all[index] = statistics } }

    /// From now on nothing is told, until told otherwise.
    public func fail(with errno: Errno?) { condition.withLock { failure = errno } }

    /// Whoever reads waits meanwhile.
    public func block(_ isBlocked: Bool) {
        condition.withLock {
            self.isBlocked = isBlocked
            condition.broadcast()
        }
    }

    /// How often somebody has asked.
    public var reads: Int { condition.withLock { readCount } }

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
