internal import TapCore

/// The namespaces in which devices are wanted, or still are.
final class NamespaceStates {
    private let kernel: any Kernel
    private let statistics: StatisticsSources
    private(set) var all: [NetworkNamespace?: NamespaceState] = [:]

    /// - Parameters:
    ///   - kernel: Where they are entered.
    ///   - statistics: Where the way to the counters of each is put, as long as it is worked in.
    init(_ kernel: any Kernel, statistics: StatisticsSources) {
        self.kernel = kernel
        self.statistics = statistics
    }

    /// Enters the namespace, unless that has been done.
    func namespace(at location: NetworkNamespace?) throws(NamespaceFailure) -> NamespaceState {
        if let state = all[location] { return state }
        let namespace = try kernel.open(location)
        do throws(KernelError) {
            let state = try NamespaceState(location, kernel: namespace)
            // Without its counters a namespace can be worked in all the same; a scrape says that they are missing.
            if let counters = try? namespace.statistics() { statistics.set(counters, at: location) }
            all[location] = state
            return state
        } catch {
            throw .unusable(error)
        }
    }

    /// Lets go of what can no longer be worked in. Our descriptors would keep a deleted namespace alive.
    func close(_ location: NetworkNamespace?) {
        statistics.set(nil, at: location)
        all.removeValue(forKey: location)?.kernel.leave()
    }

    /// Lets go of namespaces whose locations lead elsewhere by now.
    ///
    /// - Returns: Whether there were any.
    func closeStale() -> Bool {
        let stale = all.filter { !$0.value.kernel.isCurrent }.map(\.key)
        for location in stale { close(location) }
        return !stale.isEmpty
    }

    /// Lets go of namespaces that nobody needs.
    func closeAll(but needed: Set<NetworkNamespace>) {
        for case let location? in all.keys where !needed.contains(location) { close(location) }
    }
}
