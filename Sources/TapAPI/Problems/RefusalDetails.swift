internal import TapCore
internal import TapDocument
internal import TapStore
internal import TapEngine

/// The details of refusals that take more than a line: what is wrong, what was found, and what to do.
enum RefusalDetails {
    static func invalidDocument(_ issues: [FieldIssue]) -> String {
        issues.count == 1
            ? "\(issues[0].pointer.isEmpty ? "the document" : issues[0].pointer): \(issues[0].detail)"
            : issues.count < InvalidDocument.issuesMax
                ? "\(issues.count) fields are invalid; see errors"
                : "\(issues.count) fields or more are invalid; errors has the first"
    }

    static func queueNotFound(_ device: DeviceName, _ index: String, _ count: Int) -> String {
        "device '\(device)' has the queues 0 to \(count - 1), but not '\(index)'"
    }

    static func singleQueue(_ name: DeviceName) -> String {
        "device '\(name)' has multiQueue: false, and the kernel cannot detach its only queue; state it "
            + "with multiQueue: true, or take the interface down with link.up: false"
    }

    static func queueTaken(_ name: DeviceName, _ queue: Int, _ assignment: Assignment) -> String {
        "queue \(queue) of device '\(name)' belongs to '\(assignment.consumer)' (since "
            + "\(assignment.assignedAt.text)); DELETE /v1/devices/\(name)/queues/\(queue)/assignment releases it, "
            + "and POST /v1/devices/\(name)/assignments takes one that is free"
    }

    static func assignmentNotFound(_ name: DeviceName, _ queue: Int) -> String {
        "queue \(queue) of device '\(name)' belongs to nobody; GET /v1/assignments lists those that are "
            + "assigned"
    }

    static func tooFewQueues(_ name: DeviceName, _ wanted: Int, _ free: Int, _ count: Int) -> String {
        "\(wanted) were asked for, but \(free) of the \(count) queues of device '\(name)' "
            + "\(free == 1 ? "is" : "are") free, and none was assigned; release some, or state more queues"
    }

    static func leaseForbidden(_ name: DeviceName, _ user: UInt32) -> String {
        "user \(user) may not lease queues of device '\(name)'; the device's owner and group may, root, and who "
            + "has the role consumer: set its spec.owner or spec.group, or 'peers' in the configuration"
    }

    static func queueForbidden(_ name: DeviceName, _ queue: Int, _ assignment: Assignment) -> String {
        "queue \(queue) of device '\(name)' belongs to '\(assignment.consumer)'; ask with "
            + "consumer=\(assignment.consumer) if that is you, or for another queue"
    }

    static func queueLeased(_ queue: Int, _ lease: LeaseView) -> String {
        "queue \(queue) of device '\(lease.device)' is leased by \(lease.holder); DELETE "
            + "/v1/leases/\(lease.id) takes it back"
    }

    static func noFreeQueue(_ name: DeviceName, _ consumer: ConsumerName?) -> String {
        consumer.map {
            "no queue of device '\(name)' is assigned to '\($0)'; POST /v1/devices/\(name)/assignments does that"
        }
            ?? "every queue of device '\(name)' is assigned to a consumer; ask with consumer=NAME, or state more queues"
    }

    static func notBrokered(_ name: DeviceName) -> String {
        "device '\(name)' has access: open, so its consumers open it by name; state access: brokered to "
            + "have its queues leased"
    }

    static func deviceNotReady(_ name: DeviceName, _ reason: String?) -> String {
        "device '\(name)' has no interface now"
            + (reason.map { " (\($0))" } ?? "") + "; GET /v1/devices/\(name) tells when it is Ready"
    }

    static func deviceLeased(_ lease: LeaseView) -> String {
        "queues of device '\(lease.device)' are leased by \(lease.holder), and the change would end that; "
            + "add force=true to do it all the same"
    }

    static func deviceExists(_ name: DeviceName) -> String {
        "device '\(name)' is stated already; PUT replaces it, and with adoption: compatible in its spec it "
            + "takes over an interface of its name"
    }

    static func deviceDeleting(_ name: DeviceName) -> String {
        "device '\(name)' can be stated again once it is gone; DELETE with wait=5s tells when"
    }

    static func immutableFields(_ fields: [DeviceField]) -> String {
        "\(fields.map(\.rawValue).joined(separator: ", ")) \(fields.count == 1 ? "is" : "are") fixed when a "
            + "device is created; add recreate=true to have it made anew, which interrupts its traffic"
            + (fields.contains(.owner) || fields.contains(.group)
                ? "; an owner or a group can be changed in place, but not taken away" : "")
    }

    static func staleResourceVersion(_ found: Int, _ current: Int) -> String {
        "the document was made from version \(found), but \(current) is current; read it again"
    }

    static func trialPending(_ revision: Int) -> String {
        "POST /v1/apply/\(revision)/confirm keeps it, DELETE /v1/apply/\(revision) takes it back"
    }

    static func trialNotFound(_ revision: String) -> String {
        "no change '\(revision)' was applied with confirmWithin, or it is long ago"
    }

    static func trialEnded(_ revision: Int, _ state: TrialRecord.State) -> String {
        "change \(revision) was "
            + (state == .confirmed ? "confirmed; apply what you want instead" : "taken back; apply it again")
    }

    static func idempotencyKeyReused(_ key: IdempotencyKey, _ time: Timestamp) -> String {
        "the key '\(key.text)' came with another method, target or body at \(time.text); use a new key "
            + "for a new request, and the same request for the same key"
    }

    static func revisionNotFound(_ revision: String, _ nearest: Int?) -> String {
        "no statement changed in revision '\(revision)'"
            + (nearest.map { "; what was stated then is that of revision \($0)" } ?? "")
            + "; GET /v1/revisions lists those in which some did"
    }

    static func revisionForgotten(_ revision: Int, _ oldest: Int) -> String {
        "the history begins with revision \(oldest); \(revision) is older"
    }

    static func unmanagedNotFound(_ name: String) -> String {
        "no tap or tun device '\(name)' of others is there; GET /v1/unmanaged lists those that are"
    }

    static func resourceVersionGone(_ found: Int, _ oldest: Int, _ newest: Int) -> String {
        found > newest
            ? "resourceVersion \(found) is newer than \(newest), the newest here: the database is another one, or "
                + "an older copy; GET /v1/devices, and watch from its metadata.resourceVersion"
            : "resourceVersion \(found) is older than \(oldest), from which on changes are known; GET /v1/devices, "
                + "and watch from its metadata.resourceVersion"
    }

    static let watcherBehind =
        "the events were read too slowly: more than \(ChangeList.removalsMax) devices have gone that were not "
        + "told of yet; GET /v1/devices, and watch from its metadata.resourceVersion"

    static func queuesTaken(
        _ name: DeviceName, _ taken: [(queue: Int, assignment: Assignment)], _ wanted: QueueLayout
    ) -> String {
        let (queue, assignment) = taken[0]
        let others = taken.count == 1 ? "; release it" : ", and \(taken.count - 1) more (see errors); release them"
        let left = wanted.count == .one ? "1 queue" : "\(wanted.count.value) queues"
        return "with \(left) left, device '\(name)' would lose queue \(queue), which belongs to "
            + "'\(assignment.consumer)'\(others) first: DELETE "
            + "/v1/devices/\(name)/queues/\(queue)/assignment"
    }

    static func applyRefused(_ refused: [(place: Int, refusal: Refusal)]) -> String {
        let words = refused.map(\.refusal.words)
        let isOfOneKind = Set(words.map(\.code)).count == 1
        return "nothing was changed, because of "
            + "\(refused.count == 1 ? "one device" : "\(refused.count) devices"); see errors"
            + (isOfOneKind ? ". \(words[0].detail)" : "")
    }
}
