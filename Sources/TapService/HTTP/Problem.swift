internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// Everything that can be wrong with a request.
enum Problem: Error, Sendable {
    /// A token or a certificate is needed.
    case unauthenticated(Doubt)
    /// It is known who asks, and he may not.
    case forbidden(Permission, Identity)
    /// Over TCP, for a host that is not ours.
    case misdirected(host: String?)
    /// A page of another origin had a browser ask.
    case foreignPage(String)
    /// What the HTTP room refuses by itself.
    case rejected(HTTPRejection, limits: HTTPLimits)
    case bodyTooLarge(bytesMax: Int)
    case notJSON(String)
    case invalidParameter(name: String, detail: String)
    case invalidHeader(name: String, detail: String)
    /// With the paths that there are, where they are few.
    case routeNotFound(path: String, known: [String])
    case methodNotAllowed(method: String, allowed: [String])
    case unsupportedMediaType(found: String?, wanted: [String])
    case unsupportedEncoding(String)
    case invalidDocument([FieldIssue])
    case invalidName(String)
    case deviceNotFound(String)
    case queueNotFound(device: DeviceName, index: String, count: Int)
    case singleQueue(DeviceName)
    case queueTaken(DeviceName, queue: Int, Assignment)
    /// Fewer queues are stated than are assigned.
    case queuesTaken(DeviceName, [(queue: Int, assignment: Assignment)], wanted: QueueLayout)
    case assignmentNotFound(DeviceName, queue: Int)
    case tooFewQueues(DeviceName, wanted: Int, free: Int, of: Int)
    case unixSocketRequired
    case upgradeRequired
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
    case applyRefused([(place: Int, problem: Problem)])
    case trialPending(revision: Int)
    case trialNotFound(String)
    case trialEnded(revision: Int, state: TrialRecord.State)
    case revisionNotFound(String, nearest: Int?)
    case revisionForgotten(Int, oldest: Int)
    case idempotencyKeyReused(IdempotencyKey, at: Timestamp)
    case unmanagedNotFound(String)
    case notAdoptable(String)
    case notAcceptable(found: String, offered: [String])
    case resourceVersionGone(found: Int, oldest: Int, newest: Int)
    case watcherBehind
    /// Of one owner, or of all together.
    case tooManyWatchers(owner: String?)
    case tooManyWrites
    case tooManyReads
    case tooManyQuestions
    case noLook
    case stopping
    case store(StoreError)
}

extension Problem {
    struct Words {
        let status: Int
        let code: String
        let title: String
        let detail: String
        var errors: [FieldIssue] = []
        var headers: [(name: String, value: String)] = []
    }

    /// One exhaustive table: status, code, and words for people.
    var words: Words {
        switch self {
        case .unauthenticated(let doubt):
            Words(
                status: 401, code: "UNAUTHENTICATED", title: "It is not known who asks", detail: doubt.detail,
                headers: [("WWW-Authenticate", doubt.challenge)])
        case .forbidden(let permission, let identity):
            Words(
                status: 403, code: "FORBIDDEN", title: "The role does not allow it",
                detail: "\(identity.name) has no role that allows it; "
                    + (permission.role.map { "'\($0.rawValue)' would" } ?? "none does")
                    + ": see \(identity.isLocal ? "'peers'" : "'tapster token' and 'certificates'") in the configuration"
            )
        case .misdirected(let host):
            Words(
                status: 421, code: "MISDIRECTED", title: "The request is meant for another host",
                detail: "\(host.map { "Host is '\($0)'" } ?? "there is no Host"), which is not a name of this server; "
                    + "'allowedHosts' in the configuration says which are")
        case .foreignPage(let origin):
            Words(
                status: 403, code: "FOREIGN_ORIGIN", title: "A web page of another origin asks",
                detail: "the request comes from a page ('\(origin)') that is not among 'allowedOrigins' in the "
                    + "configuration")
        case .rejected(let rejection, let limits): rejection.words(limits)
        case .bodyTooLarge(let max):
            Words(
                status: 413, code: "BODY_TOO_LARGE", title: "The body is too large",
                detail: max == 0
                    ? "nothing reads one here; send the request without it" : "at most \(max) bytes are read")
        case .notJSON(let detail):
            Words(status: 400, code: "INVALID_JSON", title: "The body is not JSON", detail: detail)
        case .invalidParameter(let name, let detail):
            Words(
                status: 400, code: "INVALID_PARAMETER", title: "A query parameter is invalid",
                detail: "'\(name)' \(detail)")
        case .invalidHeader(let name, let detail):
            Words(
                status: 400, code: "INVALID_HEADER", title: "A header field is invalid", detail: "'\(name)' \(detail)")
        case .routeNotFound(let path, let known):
            Words(
                status: 404, code: "ROUTE_NOT_FOUND", title: "No such resource",
                detail: "nothing is served at \(path); "
                    + (known.isEmpty
                        ? "GET /openapi.yaml lists what is" : "there are \(known.joined(separator: ", "))"))
        case .methodNotAllowed(let method, let allowed):
            Words(
                status: 405, code: "METHOD_NOT_ALLOWED", title: "The method is not allowed here",
                detail: "\(method) is not allowed here; use \(allowed.joined(separator: ", "))",
                headers: [("Allow", allowed.joined(separator: ", "))])
        case .unsupportedMediaType(let found, let wanted):
            Words(
                status: 415, code: "UNSUPPORTED_MEDIA_TYPE", title: "The body's media type is not supported",
                detail: "Content-Type is \(found.map { "'\($0)'" } ?? "missing"); send "
                    + wanted.joined(separator: " or "))
        case .unsupportedEncoding(let coding):
            Words(
                status: 415, code: "UNSUPPORTED_MEDIA_TYPE", title: "The body's media type is not supported",
                detail: "Content-Encoding is '\(coding)'; send the body as it is, without one",
                headers: [("Accept-Encoding", "identity")])
        case .invalidDocument(let issues):
            Words(
                status: 422, code: "INVALID_DOCUMENT", title: "The document is invalid",
                detail: issues.count == 1
                    ? "\(issues[0].pointer.isEmpty ? "the document" : issues[0].pointer): \(issues[0].detail)"
                    : issues.count < InvalidDocument.issuesMax
                        ? "\(issues.count) fields are invalid; see errors"
                        : "\(issues.count) fields or more are invalid; errors has the first",
                errors: issues)
        case .invalidName(let detail):
            Words(status: 404, code: "DEVICE_NOT_FOUND", title: "No such device", detail: detail)
        case .deviceNotFound(let name):
            Words(
                status: 404, code: "DEVICE_NOT_FOUND", title: "No such device",
                detail: "no device '\(name)' is stated; GET /v1/devices lists those that are")
        case .queueNotFound(let device, let index, let count):
            Words(
                status: 404, code: "QUEUE_NOT_FOUND", title: "No such queue",
                detail: "device '\(device)' has the queues 0 to \(count - 1), but not '\(index)'")
        case .singleQueue(let name):
            Words(
                status: 409, code: "SINGLE_QUEUE", title: "The queue cannot be detached",
                detail: "device '\(name)' has multiQueue: false, and the kernel cannot detach its only queue; state it "
                    + "with multiQueue: true, or take the interface down with link.up: false")
        case .queueTaken(let name, let queue, let assignment):
            Words(
                status: 409, code: "QUEUE_TAKEN", title: "The queue is assigned",
                detail: "queue \(queue) of device '\(name)' belongs to '\(assignment.consumer)' (since "
                    + "\(assignment.assignedAt.text)); DELETE /v1/devices/\(name)/queues/\(queue)/assignment releases it, "
                    + "and POST /v1/devices/\(name)/assignments takes one that is free")
        case .queuesTaken(let name, let taken, let wanted):
            Self.words(of: taken, wanted: wanted, name)
        case .assignmentNotFound(let name, let queue):
            Words(
                status: 404, code: "ASSIGNMENT_NOT_FOUND", title: "The queue is not assigned",
                detail:
                    "queue \(queue) of device '\(name)' belongs to nobody; GET /v1/assignments lists those that are "
                    + "assigned")
        case .tooFewQueues(let name, let wanted, let free, let count):
            Words(
                status: 409, code: "TOO_FEW_QUEUES", title: "Too few queues are free",
                detail: "\(wanted) were asked for, but \(free) of the \(count) queues of device '\(name)' "
                    + "\(free == 1 ? "is" : "are") free, and none was assigned; release some, or state more queues")
        case .unixSocketRequired:
            Words(
                status: 400, code: "UNIX_SOCKET_REQUIRED", title: "Leases need the Unix socket",
                detail: "descriptors cannot be passed over TCP; connect to the API's Unix socket on this host")
        case .upgradeRequired:
            Words(
                status: 426, code: "UPGRADE_REQUIRED", title: "A lease leaves HTTP",
                detail:
                    "send 'Connection: Upgrade' and 'Upgrade: \(LeaseMessage.protocolName)', and receive the queues "
                    + "with recvmsg(2) behind the 101; 'tapster exec' does it for a command",
                headers: [("Upgrade", LeaseMessage.protocolName)])
        case .leaseForbidden(let name, let user):
            Words(
                status: 403, code: "LEASE_FORBIDDEN", title: "The queues are not for this user",
                detail:
                    "user \(user) may not lease queues of device '\(name)'; the device's owner and group may, root, and who "
                    + "has the role consumer: set its spec.owner or spec.group, or 'peers' in the configuration")
        case .queueForbidden(let name, let queue, let assignment):
            Words(
                status: 403, code: "QUEUE_TAKEN", title: "The queue is assigned",
                detail: "queue \(queue) of device '\(name)' belongs to '\(assignment.consumer)'; ask with "
                    + "consumer=\(assignment.consumer) if that is you, or for another queue")
        case .queueLeased(let queue, let lease):
            Words(
                status: 409, code: "QUEUE_LEASED", title: "The queue is leased",
                detail: "queue \(queue) of device '\(lease.device)' is leased by \(lease.holder); DELETE "
                    + "/v1/leases/\(lease.id) takes it back")
        case .noFreeQueue(let name, let consumer):
            Words(
                status: 409, code: "NO_FREE_QUEUE", title: "No queue is free",
                detail: consumer.map {
                    "no queue of device '\(name)' is assigned to '\($0)'; POST /v1/devices/\(name)/assignments does that"
                }
                    ?? "every queue of device '\(name)' is assigned to a consumer; ask with consumer=NAME, or state more queues"
            )
        case .notBrokered(let name):
            Words(
                status: 409, code: "NOT_BROKERED", title: "The device is not brokered",
                detail:
                    "device '\(name)' has access: open, so its consumers open it by name; state access: brokered to "
                    + "have its queues leased")
        case .deviceNotReady(let name, let reason):
            Words(
                status: 409, code: "DEVICE_NOT_READY", title: "The device is not there yet",
                detail: "device '\(name)' has no interface now"
                    + (reason.map { " (\($0))" } ?? "") + "; GET /v1/devices/\(name) tells when it is Ready")
        case .kernelRefused(let error):
            Words(
                status: error.isTaken ? 409 : 503, code: error.isTaken ? "QUEUE_BUSY" : "KERNEL_REFUSED",
                title: "The kernel refuses", detail: error.description,
                headers: error.isTaken ? [] : [("Retry-After", "1")])
        case .leaseNotFound(let id):
            Words(
                status: 404, code: "LEASE_NOT_FOUND", title: "No such lease",
                detail: "no lease '\(id)' is in force; GET /v1/leases lists those that are")
        case .deviceLeased(let lease):
            Words(
                status: 409, code: "DEVICE_LEASED", title: "The device is in use",
                detail:
                    "queues of device '\(lease.device)' are leased by \(lease.holder), and the change would end that; "
                    + "add force=true to do it all the same")
        case .tooManyLeases:
            Words(
                status: 503, code: "TOO_MANY_LEASES", title: "Too many requests about leases wait",
                detail: "try again in a second", headers: [("Retry-After", "1")])
        case .deviceExists(let name):
            Words(
                status: 409, code: "DEVICE_EXISTS", title: "The device exists",
                detail:
                    "device '\(name)' is stated already; PUT replaces it, and with adoption: compatible in its spec it "
                    + "takes over an interface of its name")
        case .deviceDeleting(let name):
            Words(
                status: 409, code: "DEVICE_DELETING", title: "The device is being deleted",
                detail: "device '\(name)' can be stated again once it is gone; DELETE with wait=5s tells when")
        case .immutableFields(let fields):
            Words(
                status: 409, code: "IMMUTABLE_FIELD", title: "A field is fixed when the device is created",
                detail:
                    "\(fields.map(\.rawValue).joined(separator: ", ")) \(fields.count == 1 ? "is" : "are") fixed when a "
                    + "device is created; add recreate=true to have it made anew, which interrupts its traffic"
                    + (fields.contains(.owner) || fields.contains(.group)
                        ? "; an owner or a group can be changed in place, but not taken away" : ""),
                errors: fields.map { FieldIssue(pointer: $0.pointer, detail: "cannot be changed in place") })
        case .staleResourceVersion(let found, let current):
            Words(
                status: 409, code: "STALE_RESOURCE_VERSION", title: "The device has changed meanwhile",
                detail: "the document was made from version \(found), but \(current) is current; read it again")
        case .preconditionFailed(let detail):
            Words(status: 412, code: "PRECONDITION_FAILED", title: "A precondition does not hold", detail: detail)
        case .applyRefused(let refused):
            Self.words(of: refused)
        case .trialPending(let revision):
            Words(
                status: 409, code: "APPLY_PENDING", title: "Another change waits to be confirmed",
                detail: "POST /v1/apply/\(revision)/confirm keeps it, DELETE /v1/apply/\(revision) takes it back")
        case .trialNotFound(let revision):
            Words(
                status: 404, code: "APPLY_NOT_FOUND", title: "No such change",
                detail: "no change '\(revision)' was applied with confirmWithin, or it is long ago")
        case .trialEnded(let revision, let state):
            Words(
                status: 409, code: "APPLY_ENDED", title: "The change has been decided already",
                detail: "change \(revision) was "
                    + (state == .confirmed ? "confirmed; apply what you want instead" : "taken back; apply it again"))
        case .idempotencyKeyReused(let key, let time):
            Words(
                status: 422, code: "IDEMPOTENCY_KEY_REUSED", title: "The Idempotency-Key is another request's",
                detail: "the key '\(key.text)' came with another method, target or body at \(time.text); use a new key "
                    + "for a new request, and the same request for the same key")
        case .revisionNotFound(let revision, let nearest):
            Words(
                status: 404, code: "REVISION_NOT_FOUND", title: "No such revision",
                detail: "no statement changed in revision '\(revision)'"
                    + (nearest.map { "; what was stated then is that of revision \($0)" } ?? "")
                    + "; GET /v1/revisions lists those in which some did")
        case .revisionForgotten(let revision, let oldest):
            Words(
                status: 410, code: "REVISION_FORGOTTEN", title: "The revision is forgotten",
                detail: "the history begins with revision \(oldest); \(revision) is older")
        case .unmanagedNotFound(let name):
            Words(
                status: 404, code: "UNMANAGED_NOT_FOUND", title: "No such interface",
                detail: "no tap or tun device '\(name)' of others is there; GET /v1/unmanaged lists those that are")
        case .notAdoptable(let detail):
            Words(
                status: 409, code: "NOT_ADOPTABLE", title: "The interface cannot be adopted", detail: detail)
        case .tooManyQuestions:
            Words(
                status: 503, code: "TOO_MANY_LOOKS", title: "Too many requests wait for a look at the kernel",
                detail: "try again in a second", headers: [("Retry-After", "1")])
        case .noLook:
            Words(
                status: 503, code: "KERNEL_UNAVAILABLE", title: "The kernel could not be looked at",
                detail: "GET /readyz says why, unless the daemon stops; try again in a second",
                headers: [("Retry-After", "1")])
        case .notAcceptable(let found, let offered):
            Words(
                status: 406, code: "NOT_ACCEPTABLE", title: "Nothing acceptable can be answered",
                detail: "Accept is '\(found)'; this is to be had as \(offered.joined(separator: " or "))")
        case .resourceVersionGone(let found, let oldest, let newest):
            Words(
                status: 410, code: "RESOURCE_VERSION_GONE", title: "What happened since is not known any more",
                detail: found > newest
                    ? "resourceVersion \(found) is newer than \(newest), the newest here: the database is another one, or "
                        + "an older copy; GET /v1/devices, and watch from its metadata.resourceVersion"
                    : "resourceVersion \(found) is older than \(oldest), from which on changes are known; GET /v1/devices, "
                        + "and watch from its metadata.resourceVersion")
        case .watcherBehind:
            Words(
                status: 410, code: "RESOURCE_VERSION_GONE", title: "What happened since is not known any more",
                detail:
                    "the events were read too slowly: more than \(ChangeList.removalsMax) devices have gone that were not "
                    + "told of yet; GET /v1/devices, and watch from its metadata.resourceVersion")
        case .tooManyWatchers(let owner):
            Words(
                status: 503, code: "TOO_MANY_WATCHERS", title: "Too many watch already",
                detail: owner.map {
                    "\($0) has \(Watchers.watchersOfOneMax) watches, which is as many as one may have; end one"
                }
                    ?? "at most \(Watchers.watchersMax) watch at a time; end one, or try again in a second",
                headers: [("Retry-After", "1")])
        case .tooManyReads:
            Words(
                status: 503, code: "TOO_MANY_READS", title: "Too many requests wait for the database",
                detail: "try again in a second", headers: [("Retry-After", "1")])
        case .tooManyWrites:
            Words(
                status: 503, code: "TOO_MANY_WRITES", title: "Too many writes wait",
                detail: "try again in a second", headers: [("Retry-After", "1")])
        case .stopping:
            Words(
                status: 503, code: "STOPPING", title: "The daemon is stopping",
                detail: "try again when it is back", headers: [("Retry-After", "2")])
        case .store(.tooManyBackups(let directory, let count)):
            Words(
                status: 409, code: "TOO_MANY_BACKUPS", title: "There are too many backups",
                detail: StoreError.tooManyBackups(directory: directory, count: count).description)
        case .store(.tooManyAnswers(let count)):
            Words(
                status: 503, code: "TOO_MANY_IDEMPOTENCY_KEYS", title: "Too many requests are remembered",
                detail: StoreError.tooManyAnswers(count: count).description, headers: [("Retry-After", "3600")])
        case .store(let error):
            Words(
                status: error == .full ? 507 : 503,
                code: error == .full ? "DATABASE_FULL" : "DATABASE_UNAVAILABLE",
                title: "The database does not take the change", detail: error.description,
                headers: [("Retry-After", "5")])
        }
    }

    /// Each assigned queue that a smaller device would not have.
    private static func words(
        of taken: [(queue: Int, assignment: Assignment)], wanted: QueueLayout, _ name: DeviceName
    ) -> Words {
        let (queue, assignment) = taken[0]
        let others = taken.count == 1 ? "; release it" : ", and \(taken.count - 1) more (see errors); release them"
        let left = wanted.count == .one ? "1 queue" : "\(wanted.count.value) queues"
        return Words(
            status: 409, code: "QUEUE_TAKEN", title: "The queue is assigned",
            detail: "with \(left) left, device '\(name)' would lose queue \(queue), which belongs to "
                + "'\(assignment.consumer)'\(others) first: DELETE "
                + "/v1/devices/\(name)/queues/\(queue)/assignment",
            errors: taken.map { queue, assignment in
                FieldIssue(
                    pointer: "/spec/queues", detail: "queue \(queue) belongs to '\(assignment.consumer)'")
            })
    }

    /// All refusals of a document in one: under the code that they share, if they do.
    private static func words(of refused: [(place: Int, problem: Problem)]) -> Words {
        let all = refused.map { ($0.place, $0.problem.words) }
        let errors = all.flatMap { place, words in
            words.errors.isEmpty
                ? [FieldIssue(pointer: "/devices/\(place)", detail: words.detail)]
                : words.errors.map { FieldIssue(pointer: "/devices/\(place)\($0.pointer)", detail: $0.detail) }
        }
        let isOfOneKind = Set(all.map(\.1.code)).count == 1
        return Words(
            status: 409, code: isOfOneKind ? all[0].1.code : "APPLY_CONFLICT",
            title: isOfOneKind ? all[0].1.title : "Devices cannot be changed so",
            detail:
                "nothing was changed, because of \(all.count == 1 ? "one device" : "\(all.count) devices"); see errors"
                + (isOfOneKind ? ". \(all[0].1.detail)" : ""), errors: errors)
    }
}
