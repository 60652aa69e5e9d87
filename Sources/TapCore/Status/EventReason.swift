/// Why an event was recorded: one word in CamelCase, for programs. The set is closed, and part of the API.
public enum EventReason: String, CaseIterable, Hashable, Sendable {
    /// A request declared a new device.
    case created = "Created"
    /// A request changed a device.
    case updated = "Updated"
    /// A request marked a device for deletion.
    case deletionRequested = "DeletionRequested"
    /// A rollback declared a device again that the rolled-back change had deleted or marked for deletion.
    case restored = "Restored"
    /// A change with `confirmWithin` was confirmed.
    case confirmed = "Confirmed"
    /// The database was copied.
    case backedUp = "BackedUp"
    /// A client has received queues.
    case leaseGranted = "LeaseGranted"
    /// A lease has ended, or its client did not receive the queues.
    case leaseEnded = "LeaseEnded"
    /// More leases were granted or ended within a minute than have events of their own.
    case leaseEventsOmitted = "LeaseEventsOmitted"
    /// A request ended a lease.
    case leaseRevoked = "LeaseRevoked"
    /// A request asked for a full reconcile.
    case reconcileRequested = "ReconcileRequested"
    /// The kernel matches a new generation of the spec.
    case converged = "Converged"
    /// The device was missing after a reboot, or in a recreated namespace, and has been created again; or a request had
    /// its interface replaced.
    case recreated = "Recreated"
    /// The device has been removed from the kernel and the database.
    case deleted = "Deleted"
    /// A field has drifted and is left as it is.
    case driftFound = "DriftFound"
    /// A field had drifted and was repaired.
    case driftRepaired = "DriftRepaired"
    /// The stray queues of a device are gone.
    case strayQueuesGone = "StrayQueuesGone"
    /// The MTU or the MAC address of a bridge has changed with the device's joining or leaving.
    case bridgeChanged = "BridgeChanged"
    /// What other programs had set on the port of a bridge was set again, after Tapster had joined the bridge.
    case portRestored = "PortRestored"
    /// It could not be set again.
    case portNotRestored = "PortNotRestored"
    /// The interface with the number of the device's own was found to be another one.
    case interfaceReplaced = "InterfaceReplaced"
    /// A queue was assigned to a consumer.
    case queueAssigned = "QueueAssigned"
    /// A queue's assignment was removed.
    case queueReleased = "QueueReleased"
    /// A request enabled a queue.
    case queueEnabled = "QueueEnabled"
    /// A request disabled a queue.
    case queueDisabled = "QueueDisabled"
    /// A change was rolled back, but not for this device.
    case rollbackSkipped = "RollbackSkipped"
    /// A change with `confirmWithin` was rolled back, on request or since it was not confirmed in time.
    case rolledBack = "RolledBack"
    /// The database accepts changes again after it had refused one.
    case databaseRecovered = "DatabaseRecovered"

    /// A device of an earlier version keeps the kernel's settings of IPv6: what a guest sends may configure the host.
    case ipv6KernelDefault = "IPv6KernelDefault"
    /// No other host has the device's addresses any more.
    case addressesUsable = "AddressesUsable"

    // Why a device is not ready; the condition `Ready` uses the same words.

    /// Another process changes a field repeatedly.
    case contested = "Contested"
    /// The bridge has the maximum number of ports.
    case controllerFull = "ControllerFull"
    /// Another controller does not release the interface.
    case controllerHeld = "ControllerHeld"
    /// The bridge or VRF does not exist in the namespace.
    case controllerMissing = "ControllerMissing"
    /// The controller is neither a bridge nor a VRF, or the device's kind cannot join it.
    case controllerUnsuitable = "ControllerUnsuitable"
    /// A field has drifted, and the drift policy is `report`.
    case driftReported = "DriftReported"
    /// The kernel still asks other hosts whether they have an address.
    case detectingDuplicates = "DetectingDuplicates"
    /// Another host has an address.
    case duplicateAddress = "DuplicateAddress"
    /// An interface that Tapster did not make has the name.
    case foreignDevice = "ForeignDevice"
    /// Another device of Tapster has the name.
    case nameTaken = "NameTaken"
    /// A field that the kernel fixes at creation differs.
    case immutableField = "ImmutableField"
    /// An attached consumer has changed settings of the whole device.
    case inUse = "InUse"
    /// The network namespace does not exist.
    case namespaceMissing = "NamespaceMissing"
    /// The network namespace exists, but the daemon cannot use it.
    case namespaceUnusable = "NamespaceUnusable"
    /// The kernel refused a step.
    case stepFailed = "StepFailed"
    /// Other processes have queues open that are not leased, or more than the spec permits. The device is not ready if
    /// packets are steered to them.
    case strayQueues = "StrayQueues"
    /// The running kernel does not support a field.
    case unsupported = "Unsupported"
}
