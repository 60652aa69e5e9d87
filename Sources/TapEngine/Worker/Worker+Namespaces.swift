internal import HashTreeCollections
internal import TapCore
internal import TapStore
internal import TapSystem

/// The daemon's own namespace, and devices in others.
extension Worker {
    /// - Throws: `KernelError` if it cannot be used.
    func daemonNamespace() throws(KernelError) -> NamespaceState {
        do throws(NamespaceFailure) {
            return try namespaces.namespace(at: nil)
        } catch {
            switch error {
            case .unusable(let error): throw error
            case .missing(let detail): throw KernelError("open_namespace", .noEntry, advice: detail)
            }
        }
    }

    /// The devices that are wanted, or exist, in a namespace other than the daemon's.
    func devicesInOtherNamespaces() -> Set<DeviceName> {
        Set(
            snapshots.current.devices.values.lazy
                .filter { $0.record.spec.networkNamespace != nil || $0.record.claim?.namespace != nil }
                .map(\.record.name))
    }
}
