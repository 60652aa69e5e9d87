/// Why an event was recorded: one word in CamelCase for machines. The set is closed, and part of the API.
public enum EventReason: String, CaseIterable, Hashable, Sendable {
    /// A request stated a new device.
    case created = "Created"
    /// A request changed a device.
    case updated = "Updated"
    /// A request marked a device for deletion.
    case deletionRequested = "DeletionRequested"
    /// A rolled-back change had deleted the device, or was about to; it is stated again.
    case restored = "Restored"
    /// A change on trial stays.
    case confirmed = "Confirmed"
    /// The database was copied.
    case backedUp = "BackedUp"
    /// A request ended a lease.
    case leaseRevoked = "LeaseRevoked"
    /// A request asked for a look at the kernel.
    case reconcileRequested = "ReconcileRequested"
    /// A new generation is in the kernel.
    case converged = "Converged"
    /// The device was missing after a boot, or in a namespace made anew, and has been made.
    case recreated = "Recreated"
    /// The device is gone.
    case deleted = "Deleted"
    /// A field differs from a spec that had been reached, and stays so.
    case driftFound = "DriftFound"
    /// A field differed from a spec that had been reached, and was put right.
    case driftRepaired = "DriftRepaired"
    case queueAssigned = "QueueAssigned"
    case queueReleased = "QueueReleased"
    case queueEnabled = "QueueEnabled"
    case queueDisabled = "QueueDisabled"
    /// A change was rolled back, but not for this device.
    case rollbackSkipped = "RollbackSkipped"
    /// A change on trial was rolled back.
    case rolledBack = "RolledBack"
    /// The database, which had refused a change, takes changes again.
    case databaseRecovered = "DatabaseRecovered"

    // Why a device is not ready; the condition `Ready` has the same words.

    case contested = "Contested"
    case controllerFull = "ControllerFull"
    case controllerMissing = "ControllerMissing"
    case controllerUnsuitable = "ControllerUnsuitable"
    case driftReported = "DriftReported"
    case foreignDevice = "ForeignDevice"
    case nameTaken = "NameTaken"
    case immutableField = "ImmutableField"
    case inUse = "InUse"
    case namespaceMissing = "NamespaceMissing"
    case namespaceUnusable = "NamespaceUnusable"
    case stepFailed = "StepFailed"
}
