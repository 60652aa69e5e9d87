internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapEngine

/// Details of refusals: what is wrong, what was found, and what to do.
enum RefusalDetails {
    static func invalidDocument(_ issues: [FieldIssue]) -> String {
        issues.count == 1
            ? "\(issues[0].pointer.isEmpty ? "the document" : issues[0].pointer): \(issues[0].detail)"
            : issues.count < InvalidDocument.issuesMax
                ? "\(issues.count) fields are invalid; see errors"
                : "\(issues.count) or more fields are invalid; errors has the first"
    }

    static func queueNotFound(_ device: DeviceName, _ index: String, _ count: Int) -> String {
        "device '\(device)' has no queue '\(index)'; its queues are 0 to \(count - 1)"
    }

    static func singleQueue(_ name: DeviceName) -> String {
        "device '\(name)' has multiQueue: false, and the kernel cannot detach its only queue; create "
            + "it with multiQueue: true, or take the interface down with link.up: false"
    }

    static func queueTaken(_ name: DeviceName, _ queue: Int, _ assignment: Assignment) -> String {
        "queue \(queue) of device '\(name)' is assigned to '\(assignment.consumer)' (since "
            + "\(assignment.assignedAt.text)); DELETE /v1/devices/\(name)/queues/\(queue)/assignment releases it, "
            + "and POST /v1/devices/\(name)/assignments assigns a free queue"
    }

    static func assignmentNotFound(_ name: DeviceName, _ queue: Int) -> String {
        "queue \(queue) of device '\(name)' is not assigned; GET /v1/assignments lists the assignments"
    }

    static func tooFewQueues(_ name: DeviceName, _ wanted: Int, _ free: Int, _ count: Int) -> String {
        "\(wanted) queues were requested, but \(free) of the \(count) queues of device '\(name)' "
            + "\(free == 1 ? "is" : "are") free, and none was assigned; release some, or raise spec.queues"
    }

    static func leaseForbidden(_ name: DeviceName, _ user: UInt32) -> String {
        "user \(user) may not lease queues of device '\(name)'; root, the device's owner and group and the "
            + "role 'consumer' may: set its spec.owner or spec.group, or 'peers' in the configuration"
    }

    static func queueForbidden(_ name: DeviceName, _ queue: Int, _ assignment: Assignment) -> String {
        "queue \(queue) of device '\(name)' is assigned to '\(assignment.consumer)'; add "
            + "consumer=\(assignment.consumer) if you are that consumer, or request another queue"
    }

    static func queueLeased(_ queue: Int, _ lease: LeaseView) -> String {
        "queue \(queue) of device '\(lease.device)' is leased by \(lease.holder); DELETE "
            + "/v1/leases/\(lease.id) revokes the lease"
    }

    static func queueHeld(_ queue: Int, _ lease: LeaseView) -> String {
        "queue \(queue) of device '\(lease.device)' is leased by \(lease.holder). A consumer that switches its queues "
            + "itself, such as QEMU, aborts at its next switch after another program has attached or detached one of "
            + "them. Wait until lease \(lease.id) has ended, or add force=true if this consumer does not switch queues"
    }

    static func queueDisabled(_ name: DeviceName, _ queue: Int) -> String {
        "queue \(queue) of device '\(name)' is disabled; PATCH /v1/devices/\(name)/queues/\(queue) with "
            + #"{"enabled": true} enables it, or request another queue"#
    }

    static func noFreeQueue(_ name: DeviceName, _ consumer: ConsumerName?) -> String {
        consumer.map {
            "no queue of device '\(name)' is assigned to '\($0)'; POST /v1/devices/\(name)/assignments assigns queues"
        }
            ?? "every queue of device '\(name)' is assigned to a consumer; add consumer=NAME, or raise spec.queues"
    }

    static func notBrokered(_ name: DeviceName) -> String {
        "device '\(name)' has access: open, so consumers open it by name; set access: brokered to lease its queues"
    }

    static func deviceNotReady(_ name: DeviceName, _ reason: String?) -> String {
        "device '\(name)' has no interface now"
            + (reason.map { " (\($0))" } ?? "") + "; GET /v1/devices/\(name) shows when it is Ready"
    }

    static func strayQueues(_ name: DeviceName, _ spec: DeviceSpec, _ strays: StrayQueues) -> String {
        "device '\(name)': \(strays.message(for: spec)), or add force=true to lease queues beside them"
    }

    static func deviceLeased(_ lease: LeaseView) -> String {
        "queues of device '\(lease.device)' are leased by \(lease.holder), and the change would end the "
            + "lease; add force=true to end it"
    }

    static func deviceExists(_ name: DeviceName) -> String {
        "device '\(name)' already exists; PUT replaces it, and with adoption: compatible in its spec the device "
            + "adopts an existing interface of its name"
    }

    static func deviceDeleting(_ name: DeviceName) -> String {
        "device '\(name)' can be created again when it is gone; DELETE with wait=5s waits for that"
    }

    static func immutableFields(_ fields: [DeviceField]) -> String {
        "\(fields.map(\.rawValue).joined(separator: ", ")) \(fields.count == 1 ? "is" : "are") fixed when a "
            + "device is created; add recreate=true to delete and create it, which interrupts its traffic"
            + (fields.contains(.owner) || fields.contains(.group)
                ? "; an owner or a group can be changed in place, but not removed" : "")
    }

    static func staleResourceVersion(_ found: Int, _ current: Int) -> String {
        "the document has version \(found), but the current version is \(current); read it again"
    }

    static func trialPending(_ revision: Int) -> String {
        "POST /v1/apply/\(revision)/confirm keeps it, DELETE /v1/apply/\(revision) rolls it back"
    }

    static func trialNotFound(_ revision: String) -> String {
        "there is no change '\(revision)' with confirmWithin, or it is no longer stored"
    }

    static func trialEnded(_ revision: Int, _ state: TrialRecord.State) -> String {
        "change \(revision) was "
            + (state == .confirmed ? "confirmed; apply another change to undo it" : "rolled back; apply it again")
    }

    static func idempotencyKeyReused(_ key: IdempotencyKey, _ time: Timestamp) -> String {
        "the key '\(key.text)' was used with another method, target or body at \(time.text); use a new key "
            + "for a new request, and repeat a request unchanged with its key"
    }

    static func revisionNotFound(_ revision: String, _ nearest: Int?) -> String {
        "no spec changed in revision '\(revision)'"
            + (nearest.map { "; the state then was that of revision \($0)" } ?? "")
            + "; GET /v1/revisions lists the revisions in which specs changed"
    }

    static func revisionForgotten(_ revision: Int, _ oldest: Int) -> String {
        "the history begins with revision \(oldest); revision \(revision) is older"
    }

    static func unmanagedNotFound(_ name: String) -> String {
        "there is no unmanaged tap or tun device '\(name)'; GET /v1/unmanaged lists the unmanaged devices"
    }

    static func resourceVersionGone(_ found: Int, _ oldest: Int, _ newest: Int) -> String {
        found > newest
            ? "resourceVersion \(found) is newer than \(newest), the newest here: the database is another one, or "
                + "an older copy; list the devices, and watch from metadata.resourceVersion of the list"
            : "resourceVersion \(found) is older than \(oldest), the oldest from which changes are stored; list the "
                + "devices, and watch from metadata.resourceVersion of the list"
    }

    static let watcherBehind =
        "the events were read too slowly: more than \(ChangeList.removalsMax) deletions are unsent; list the devices, "
        + "and watch from metadata.resourceVersion of the list"

    static func queuesTaken(
        _ name: DeviceName, _ taken: [(queue: Int, assignment: Assignment)], _ wanted: QueueLayout
    ) -> String {
        let (queue, assignment) = taken[0]
        let others = taken.count == 1 ? "; release it" : ", and \(taken.count - 1) more (see errors); release them"
        let left = wanted.count == .one ? "1 queue" : "\(wanted.count.value) queues"
        return "with \(left) left, device '\(name)' would lose queue \(queue), which is assigned to "
            + "'\(assignment.consumer)'\(others) first: DELETE "
            + "/v1/devices/\(name)/queues/\(queue)/assignment"
    }

    static func applyRefused(_ refused: [(place: Int, refusal: Refusal)]) -> String {
        let isOfOneKind = Set(refused.map(\.refusal.row.code)).count == 1
        return "nothing was changed, because of "
            + "\(refused.count == 1 ? "one device" : "\(refused.count) devices"); see errors"
            + (isOfOneKind ? ". \(refused[0].refusal.detail)" : "")
    }
}
