package import TapCore
package import TapDocument
package import TapStore

/// Why a request to the engine is refused: plain cases, whose texts belong to who shows them.
package enum Refusal: Error, Sendable {
    case invalidDocument([FieldIssue])
    case deviceNotFound(String)
    case queueNotFound(device: DeviceName, index: String, count: Int)
    case singleQueue(DeviceName)
    case queueTaken(DeviceName, queue: Int, Assignment)
    /// Fewer queues are stated than are assigned.
    case queuesTaken(DeviceName, [(queue: Int, assignment: Assignment)], wanted: QueueLayout)
    case assignmentNotFound(DeviceName, queue: Int)
    case tooFewQueues(DeviceName, wanted: Int, free: Int, of: Int)
    case leaseForbidden(DeviceName, user: UInt32)
    /// A queue of another consumer was asked for.
    case queueForbidden(DeviceName, queue: Int, Assignment)
    case queueLeased(queue: Int, by: LeaseView)
    case noFreeQueue(DeviceName, consumer: ConsumerName?)
    case notBrokered(DeviceName)
    case deviceNotReady(DeviceName, String?)
    case kernelRefused(KernelError)
    case leaseNotFound(String)
    case deviceLeased(LeaseView)
    case tooManyLeases
    case deviceExists(DeviceName)
    case deviceDeleting(DeviceName)
    case immutableFields([DeviceField])
    case staleResourceVersion(found: Int, current: Int)
    case preconditionFailed(String)
    case applyRefused([(place: Int, refusal: Refusal)])
    case trialPending(revision: Int)
    case trialNotFound(String)
    case trialEnded(revision: Int, state: TrialRecord.State)
    case revisionNotFound(String, nearest: Int?)
    case revisionForgotten(Int, oldest: Int)
    case idempotencyKeyReused(IdempotencyKey, at: Timestamp)
    case unmanagedNotFound(String)
    case notAdoptable(String)
    case resourceVersionGone(found: Int, oldest: Int, newest: Int)
    case watcherBehind
    case tooManyWrites
    case tooManyReads
    case tooManyQuestions
    case noLook
    case stopping
    case store(StoreError)
}
