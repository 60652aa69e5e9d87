internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapEngine

extension Refusal {
    typealias Row = Problem.Row

    /// Status, code and title of the problem for this refusal.
    var row: Row {
        // If all refusals of an apply have the same code, the apply has it too.
        if case .applyRefused(let refused) = self, let shared = Self.sharedRow(refused) { return shared }
        return ownRow
    }

    private var ownRow: Row {
        switch self {
        case .invalidDocument: Row(422, "INVALID_DOCUMENT", "The document is invalid")
        case .deviceNotFound: Row(404, "DEVICE_NOT_FOUND", "No such device")
        case .queueNotFound: Row(404, "QUEUE_NOT_FOUND", "No such queue")
        case .singleQueue: Row(409, "SINGLE_QUEUE", "The queue cannot be detached")
        case .queueTaken: Row(409, "QUEUE_TAKEN", "The queue is assigned")
        case .queuesTaken: Row(409, "QUEUE_TAKEN", "The queue is assigned")
        case .assignmentNotFound: Row(404, "ASSIGNMENT_NOT_FOUND", "The queue is not assigned")
        case .tooFewQueues: Row(409, "TOO_FEW_QUEUES", "Too few queues are free")
        case .leaseForbidden: Row(403, "LEASE_FORBIDDEN", "The user may not lease this device")
        case .queueForbidden: Row(403, "QUEUE_TAKEN", "The queue is assigned")
        case .queueLeased, .queueHeld: Row(409, "QUEUE_LEASED", "The queue is leased")
        case .queueDisabled: Row(409, "QUEUE_DISABLED", "The queue is disabled")
        case .noFreeQueue: Row(409, "NO_FREE_QUEUE", "No queue is free")
        case .notBrokered: Row(409, "NOT_BROKERED", "The device is not brokered")
        case .deviceNotReady: Row(409, "DEVICE_NOT_READY", "The device is not ready")
        case .strayQueues: Row(409, "STRAY_QUEUES", "Other processes have queues of the device")
        case .kernelRefused(let error) where error.isTaken: Row(409, "QUEUE_BUSY", "The kernel rejected the operation")
        case .kernelRefused: Row(503, "KERNEL_REFUSED", "The kernel rejected the operation", retryAfter: 1)
        case .leaseNotFound: Row(404, "LEASE_NOT_FOUND", "No such lease")
        case .deviceLeased: Row(409, "DEVICE_LEASED", "The device is in use")
        case .tooManyLeases: Row(503, "TOO_MANY_LEASES", "Too many lease requests are waiting", retryAfter: 1)
        case .deviceExists: Row(409, "DEVICE_EXISTS", "The device already exists")
        case .deviceDeleting: Row(409, "DEVICE_DELETING", "The device is being deleted")
        case .immutableFields: Row(409, "IMMUTABLE_FIELD", "A field is fixed when the device is created")
        case .staleResourceVersion: Row(409, "STALE_RESOURCE_VERSION", "The device has changed since it was read")
        case .preconditionFailed: Row(412, "PRECONDITION_FAILED", "A precondition does not hold")
        case .trialPending: Row(409, "APPLY_PENDING", "Another change awaits confirmation")
        case .trialNotFound: Row(404, "APPLY_NOT_FOUND", "No such change")
        case .trialEnded: Row(409, "APPLY_ENDED", "The change was already confirmed or rolled back")
        case .idempotencyKeyReused:
            Row(422, "IDEMPOTENCY_KEY_REUSED", "The Idempotency-Key was used for another request")
        case .revisionNotFound: Row(404, "REVISION_NOT_FOUND", "No such revision")
        case .revisionForgotten: Row(410, "REVISION_FORGOTTEN", "The revision is no longer stored")
        case .unmanagedNotFound: Row(404, "UNMANAGED_NOT_FOUND", "No such interface")
        case .notAdoptable: Row(409, "NOT_ADOPTABLE", "The interface cannot be adopted")
        case .tooManyQuestions:
            Row(503, "TOO_MANY_LOOKS", "Too many requests wait for the kernel state", retryAfter: 1)
        case .noLook: Row(503, "KERNEL_UNAVAILABLE", "Kernel state unavailable", retryAfter: 1)
        case .resourceVersionGone: Row(410, "RESOURCE_VERSION_GONE", "The resource version is no longer available")
        case .watcherBehind: Row(410, "RESOURCE_VERSION_GONE", "The resource version is no longer available")
        case .tooManyReads: Row(503, "TOO_MANY_READS", "Too many requests wait for the database", retryAfter: 1)
        case .tooManyWrites: Row(503, "TOO_MANY_WRITES", "Too many writes are waiting", retryAfter: 1)
        case .stopping: Row(503, "STOPPING", "The daemon is stopping", retryAfter: 2)
        case .applyRefused: Row(409, "APPLY_CONFLICT", "The devices cannot be changed as requested")
        case .store(let error): Self.row(error)
        }
    }

    private static func row(_ error: StoreError) -> Row {
        switch error {
        case .tooManyBackups: Row(409, "TOO_MANY_BACKUPS", "There are too many backups")
        case .tooManyAnswers:
            Row(503, "TOO_MANY_IDEMPOTENCY_KEYS", "Too many idempotency keys are stored", retryAfter: 3_600)
        case .full: Row(507, "DATABASE_FULL", "The database is full", retryAfter: 5)
        default: Row(503, "DATABASE_UNAVAILABLE", "The database is unavailable", retryAfter: 5)
        }
    }

    var detail: String {
        switch self {
        case .invalidDocument(let issues): RefusalDetails.invalidDocument(issues)
        case .deviceNotFound(let name): "there is no device '\(name)'; GET /v1/devices lists the devices"
        case .queueNotFound(let device, let index, let count): RefusalDetails.queueNotFound(device, index, count)
        case .singleQueue(let name): RefusalDetails.singleQueue(name)
        case .queueTaken(let name, let queue, let assignment): RefusalDetails.queueTaken(name, queue, assignment)
        case .queuesTaken(let name, let taken, let wanted): RefusalDetails.queuesTaken(name, taken, wanted)
        case .assignmentNotFound(let name, let queue): RefusalDetails.assignmentNotFound(name, queue)
        case .tooFewQueues(let name, let wanted, let free, let count):
            RefusalDetails.tooFewQueues(name, wanted, free, count)
        case .leaseForbidden(let name, let user): RefusalDetails.leaseForbidden(name, user)
        case .queueForbidden(let name, let queue, let assignment):
            RefusalDetails.queueForbidden(name, queue, assignment)
        case .queueLeased(let queue, let lease): RefusalDetails.queueLeased(queue, lease)
        case .queueHeld(let queue, let lease): RefusalDetails.queueHeld(queue, lease)
        case .queueDisabled(let name, let queue): RefusalDetails.queueDisabled(name, queue)
        case .noFreeQueue(let name, let consumer): RefusalDetails.noFreeQueue(name, consumer)
        case .notBrokered(let name): RefusalDetails.notBrokered(name)
        case .deviceNotReady(let name, let reason): RefusalDetails.deviceNotReady(name, reason)
        case .strayQueues(let name, let spec, let strays): RefusalDetails.strayQueues(name, spec, strays)
        case .kernelRefused(let error): error.description
        case .leaseNotFound(let id): "there is no lease '\(id)', or it has ended; GET /v1/leases lists the leases"
        case .deviceLeased(let lease): RefusalDetails.deviceLeased(lease)
        case .tooManyLeases: "try again in a second"
        case .deviceExists(let name): RefusalDetails.deviceExists(name)
        case .deviceDeleting(let name): RefusalDetails.deviceDeleting(name)
        case .immutableFields(let fields): RefusalDetails.immutableFields(fields)
        case .staleResourceVersion(let found, let current): RefusalDetails.staleResourceVersion(found, current)
        case .preconditionFailed(let detail): detail
        case .trialPending(let revision): RefusalDetails.trialPending(revision)
        case .trialNotFound(let revision): RefusalDetails.trialNotFound(revision)
        case .trialEnded(let revision, let state): RefusalDetails.trialEnded(revision, state)
        case .idempotencyKeyReused(let key, let time): RefusalDetails.idempotencyKeyReused(key, time)
        case .revisionNotFound(let revision, let nearest): RefusalDetails.revisionNotFound(revision, nearest)
        case .revisionForgotten(let revision, let oldest): RefusalDetails.revisionForgotten(revision, oldest)
        case .unmanagedNotFound(let name): RefusalDetails.unmanagedNotFound(name)
        case .notAdoptable(let detail): detail
        case .tooManyQuestions: "try again in a second"
        case .noLook: "the kernel was not read, or the daemon is stopping; see GET /readyz, and try again in a second"
        case .resourceVersionGone(let found, let oldest, let newest):
            RefusalDetails.resourceVersionGone(found, oldest, newest)
        case .watcherBehind: RefusalDetails.watcherBehind
        case .tooManyReads: "try again in a second"
        case .tooManyWrites: "try again in a second"
        case .stopping: "try again when the daemon is running again"
        case .applyRefused(let refused): RefusalDetails.applyRefused(refused)
        case .store(let error): error.description
        }
    }

    /// The fields or parts of the document that the refusal concerns.
    var errors: [FieldIssue] {
        switch self {
        case .invalidDocument(let issues): issues
        case .immutableFields(let fields):
            fields.map { FieldIssue(pointer: $0.pointer, detail: "cannot be changed in place") }
        case .queuesTaken(_, let taken, _):
            taken.map { queue, assignment in
                FieldIssue(pointer: "/spec/queues", detail: "queue \(queue) is assigned to '\(assignment.consumer)'")
            }
        case .applyRefused(let refused):
            refused.flatMap { place, refusal in
                let errors = refusal.errors
                guard !errors.isEmpty else {
                    return [FieldIssue(pointer: "/devices/\(place)", detail: refusal.detail)]
                }
                return errors.map { FieldIssue(pointer: "/devices/\(place)\($0.pointer)", detail: $0.detail) }
            }
        default: []
        }
    }

    /// Code and title that all refusals of an apply share; `nil` if they differ.
    private static func sharedRow(_ refused: [(place: Int, refusal: Refusal)]) -> Row? {
        let rows = refused.map(\.refusal.row)
        guard let first = rows.first, rows.allSatisfy({ $0.code == first.code }) else { return nil }
        return Row(409, first.code, first.title)
    }
}
