internal import Synchronization
internal import TapCore

/// The processes that hold devices with stray queues open, as the last search has found them.
final class HolderSurvey: Sendable {
    /// What was found when a device had this many stray queues.
    private struct Finding {
        var attached: Int
        var detached: Int
        /// `nil` until the search has ended.
        var holders: [DescriptorHolder]?
    }

    private let search: HolderSearch
    private let findings = Mutex<[DeviceName: Finding]>([:])

    init(_ search: HolderSearch) {
        self.search = search
    }

    /// Searches for the holders of one device. The reply comes from another thread, or at once and empty if too many
    /// searches wait.
    func find(_ name: DeviceName, reply: @escaping @Sendable ([DescriptorHolder]) -> Void) {
        if !search.find([name.text], reply: { reply($0[name.text] ?? []) }) { reply([]) }
    }

    /// The holders of a device's stray queues. Searches again if their number has changed.
    ///
    /// - Parameters:
    ///   - name: The device.
    ///   - strays: Its stray queues.
    ///   - ended: Called after a search, on another thread.
    /// - Returns: `nil` while the first search goes on.
    func holders(
        of name: DeviceName, with strays: StrayQueues, ended: @escaping @Sendable () -> Void
    ) -> [DescriptorHolder]? {
        let (holders, isNew) = findings.withLock { findings in
            let old = findings[name]
            if let old, old.attached == strays.attached, old.detached == strays.detached { return (old.holders, false) }
            findings[name] = Finding(
                attached: strays.attached, detached: strays.detached, holders: old?.holders)
            return (old?.holders, true)
        }
        if isNew {
            find(name) { [weak self] found in
                self?.findings.withLock { $0[name]?.holders = found }
                ended()
            }
        }
        return holders
    }

    /// Forgets what was found for a device without stray queues.
    func forget(_ name: DeviceName) { findings.withLock { $0[name] = nil } }
}
