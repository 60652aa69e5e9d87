internal import TapCore
internal import TapStore

/// What a batch needs from the worker. Used on the worker's thread.
protocol BatchEnvironment: AnyObject {
    var namespaces: NamespaceStates { get }
    var kernel: any Kernel { get }
    var store: Store { get }
    var snapshots: SnapshotStore { get }
    var accounts: AccountCache { get }
    var metrics: EngineMetrics { get }

    /// Fields of a device that are not repaired for now, since they keep being changed externally; with the interface
    /// that its controller is now.
    func contestedFields(of name: DeviceName, controller: LinkIndex?) -> Set<DeviceField>
    /// The device's interface that is to be deleted, and made anew, whatever it is like; `nil`: none.
    func replacedInterface(of record: DeviceRecord) -> LinkIndex?
    /// Whether to add addresses again now that another host had.
    func retriesDuplicates(of view: DeviceView, at link: ObservedLink?) -> Bool
    /// Ends a device's leases, before its interface is deleted.
    func endLeases(of name: DeviceName, _ cause: LeaseEnd)
    /// Closes a namespace after an operation on the namespace, rather than on one device, has failed.
    func abandon(_ location: NetworkNamespace?, _ error: KernelError)
}
