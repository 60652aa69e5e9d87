package import TapCore
package import TapDocument
package import TapStore

/// Why the engine refuses a request. Status codes and texts are added by the layer that answers clients.
package enum Refusal: Error, Sendable {
    /// A device document with mistakes.
    case invalidDocument([FieldIssue])
    case deviceNotFound(String)
    case queueNotFound(device: DeviceName, index: String, count: Int)
    /// The only queue of a device cannot be disabled.
    case singleQueue(DeviceName)
    /// The queue to assign is assigned to another consumer.
    case queueTaken(DeviceName, queue: Int, Assignment)
    /// The new spec has too few queues for those that are assigned.
    case queuesTaken(DeviceName, [(queue: Int, assignment: Assignment)], wanted: QueueLayout)
    case assignmentNotFound(DeviceName, queue: Int)
    /// Fewer queues are free than were to be assigned.
    case tooFewQueues(DeviceName, wanted: Int, free: Int, of: Int)
    /// The client may not lease queues of this device.
    case leaseForbidden(DeviceName, user: UInt32)
    /// The requested queue is assigned to another consumer.
    case queueForbidden(DeviceName, queue: Int, Assignment)
    case queueLeased(queue: Int, by: LeaseView)
    /// The queue to enable or disable is leased, and `force` was not given.
    case queueHeld(queue: Int, by: LeaseView)
    /// The requested queue is disabled; or all free ones are, of which this is the first.
    case queueDisabled(DeviceName, queue: Int)
    /// No queue is free for this consumer or, without one, for clients that name none.
    case noFreeQueue(DeviceName, consumer: ConsumerName?)
    /// The device has `access: open`, so its queues are not leased.
    case notBrokered(DeviceName)
    /// The device has no usable interface now, with the reason if known.
    case deviceNotReady(DeviceName, String?)
    /// The kernel steers packets to queues of the device that are not leased, and `force` was not given.
    case strayQueues(DeviceName, DeviceSpec, StrayQueues)
    /// The kernel refused to open or change a queue.
    case kernelRefused(KernelError)
    case leaseNotFound(String)
    /// The change would end this lease, and `force` was not given.
    case deviceLeased(LeaseView)
    /// Too many lease commands wait for the worker.
    case tooManyLeases
    case deviceExists(DeviceName)
    case deviceDeleting(DeviceName)
    case immutableFields([DeviceField])
    case staleResourceVersion(found: Int, current: Int)
    /// `If-Match` or `If-None-Match` does not hold.
    case preconditionFailed(String)
    /// Some devices of an apply were refused, by their positions in the document.
    case applyRefused([(place: Int, refusal: Refusal)])
    /// A change that waits for confirmation blocks other applies.
    case trialPending(revision: Int)
    case trialNotFound(String)
    /// The change has already been confirmed or rolled back.
    case trialEnded(revision: Int, state: TrialRecord.State)
    case revisionNotFound(String, nearest: Int?)
    /// The revision is older than the history that is kept.
    case revisionForgotten(Int, oldest: Int)
    /// The key was used for a different request.
    case idempotencyKeyReused(IdempotencyKey, at: Timestamp)
    case unmanagedNotFound(String)
    /// The interface has properties that no spec can express.
    case notAdoptable(String)
    /// The changes since this revision are no longer kept.
    case resourceVersionGone(found: Int, oldest: Int, newest: Int)
    /// The watch fell so far behind that removals it has not seen are no longer kept.
    case watcherBehind
    /// Too many writes wait for the database.
    case tooManyWrites
    /// Too many reads wait for the database.
    case tooManyReads
    /// Too many questions wait for the worker.
    case tooManyQuestions
    /// The kernel could not be read.
    case noLook
    /// The daemon is shutting down.
    case stopping
    case store(StoreError)
}
