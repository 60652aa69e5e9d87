internal import TapCore
internal import TapSystem

/// The open namespaces: all in which a device is wanted or still exists.
final class NamespaceStates {
    private let kernel: any Kernel
    private let statistics: StatisticsSources
    private(set) var all: [NetworkNamespace?: NamespaceState] = [:]
    /// Why the last attempt to open a namespace failed.
    private var failures: [NetworkNamespace: KernelError] = [:]

    /// - Parameters:
    ///   - kernel: Opens namespaces.
    ///   - statistics: Receives each namespace's counter source while the namespace is open.
    init(_ kernel: any Kernel, statistics: StatisticsSources) {
        self.kernel = kernel
        self.statistics = statistics
    }

    /// Returns the namespace at a location, opening it if necessary.
    func namespace(at location: NetworkNamespace?) throws(NamespaceFailure) -> NamespaceState {
        if let state = all[location] { return state }
        if let location { failures[location] = nil }
        let namespace: any KernelNamespace
        do throws(NamespaceFailure) { namespace = try kernel.open(location) } catch {
            if let location, case .unusable(let error) = error { failures[location] = error }
            throw error
        }
        do throws(KernelError) {
            let state = try NamespaceState(location, kernel: namespace)
            // A namespace is usable without its counters; a scrape reports that they are missing.
            if let counters = try? namespace.statistics() { statistics.set(counters, at: location) }
            all[location] = state
            return state
        } catch {
            throw .unusable(error)
        }
    }

    /// Returns the daemon's own namespace, opening it if necessary.
    func ownNamespace() throws(KernelError) -> NamespaceState {
        do throws(NamespaceFailure) {
            return try namespace(at: nil)
        } catch {
            switch error {
            case .unusable(let error): throw error
            case .missing(let detail): throw KernelError("open_namespace", .noEntry, advice: detail)
            }
        }
    }

    /// Why the daemon can manage no interface in one of the namespaces; `nil` if it can in all.
    ///
    /// - Throws: `KernelError` if that cannot be told now.
    func missingAbility() throws(KernelError) -> KernelError? {
        for namespace in all.values { if let missing = try namespace.kernel.missingAbility() { return missing } }
        // EPERM: setns(2) needs CAP_SYS_ADMIN over the namespace. A file that cannot be opened concerns its device
        // alone.
        return failures.values.first { $0.errno == .noPermission }
    }

    /// Closes a namespace. Our descriptors would keep a deleted namespace alive.
    func close(_ location: NetworkNamespace?) {
        statistics.set(nil, at: location)
        all.removeValue(forKey: location)?.kernel.leave()
    }

    /// Closes namespaces whose location now refers to another namespace.
    ///
    /// - Returns: Whether there were any.
    func closeStale() -> Bool {
        let stale = all.filter { !$0.value.kernel.isCurrent }.map(\.key)
        for location in stale { close(location) }
        return !stale.isEmpty
    }

    /// Closes the namespaces that no device needs; never the daemon's own.
    func closeAll(but needed: Set<NetworkNamespace>) {
        for case let location? in all.keys where !needed.contains(location) { close(location) }
        failures = failures.filter { needed.contains($0.key) }
    }
}
