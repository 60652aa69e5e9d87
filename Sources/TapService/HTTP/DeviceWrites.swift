internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// Statements about devices: decided within the transaction, against what is committed.
struct DeviceWrites: Sendable {
    let store: Store
    let board: Board
    let queue: WorkQueue
    let writes: WriteQueue
    let accounts: any Accounts
    let features: KernelFeatures
    let metrics: Metrics

    /// 202: it is stated, but not yet so.
    static let unreached = 202

    typealias Devices = TreeDictionary<DeviceName, DeviceView>

    /// What a statement comes to for one device.
    enum Change {
        case create(DeviceRecord)
        case update(DeviceRecord, from: DeviceRecord)
        /// It is gone, or marked for deletion, and shall be as it was, with its queues.
        case restore(DeviceRecord)
        /// Its queues change hands, or are enabled or disabled; the statement stays as it is, its revision included.
        case queues(DeviceRecord, from: DeviceRecord)
        /// It is marked for deletion, and else as it was.
        case delete(DeviceRecord)
        case nothing(DeviceRecord)

        var record: DeviceRecord {
            switch self {
            case .create(let record), .update(let record, _), .restore(let record), .queues(let record, _),
                .delete(let record), .nothing(let record):
                record
            }
        }

        /// The leases that cannot go on with it; nothing when all can.
        var endedLeases: ((LeaseView) -> Bool)? {
            switch self {
            case .delete: return { _ in true }
            case .update(let record, _):
                if record.mayRecreate || record.spec.access != .brokered { return { _ in true } }
                return { lease in lease.indexes.contains { !record.queues.contains($0) } }
            case .create, .restore, .queues, .nothing: return nil
            }
        }

        var isChange: Bool {
            if case .nothing = self { false } else { true }
        }
    }

    /// What was committed.
    struct Committed {
        /// In their new revision.
        let records: [DeviceRecord]
        /// The transaction's, or the present one where nothing changed.
        let revision: Int
    }

    /// Decides in the writer's turn, commits, publishes, wakes the worker, and answers, perhaps after a wait.
    ///
    /// - Parameters:
    ///   - call: The request; it is answered here.
    ///   - name: The device's name.
    ///   - wait: How long the answer may wait for the goal.
    ///   - goal: What it waits for.
    ///   - decide: From the committed state of the device to its change.
    /// - Throws: `Problem.tooManyWrites`; every other problem becomes the answer.
    func submit(
        _ call: Call, _ name: DeviceName, wait: Duration?,
        goal: @escaping @Sendable (DeviceRecord) -> Board.Goal,
        decide: @escaping @Sendable (DeviceView?) throws(Problem) -> Change
    ) throws(Problem) {
        let endsLeases = try call.flag("force")
        try enqueue(call) { () throws(Problem) in
            let change = try decide(board.snapshot.devices[name])
            let record = try commit([change], endingLeases: endsLeases).records[0]
            var status = 200
            if case .create = change { status = 201 }
            answer(call, record, status: status, wait: wait, goal: goal(record))
        }
    }

    /// Runs `body` in the writer's turn; its problem becomes the answer.
    func enqueue(_ call: Call, _ body: @escaping @Sendable () throws(Problem) -> Void) throws(Problem) {
        let isTaken = writes.add {
            do throws(Problem) { try body() } catch { call.fail(error) }
        }
        if !isTaken { throw .tooManyWrites }
    }

    /// Writes the changes as one transaction, publishes them and wakes the worker. To be called in the writer's turn:
    /// nobody else writes then, so that the board is what the database is.
    ///
    /// - Parameters:
    ///   - changes: Of different devices.
    ///   - endsLeases: Whether leases may end that cannot go on with the changes.
    ///   - evenIfEqual: Whether there is something to write although no device changes.
    ///   - also: What else belongs into the transaction.
    /// - Returns: The records as they are now.
    /// - Throws: `Problem.store`; nothing is changed then.
    @discardableResult
    func commit(
        _ changes: [Change], endingLeases endsLeases: Bool = false, evenIfEqual: Bool = false,
        also: (borrowing Transaction, _ revision: Int) throws -> Void = { _, _ in }
    ) throws(Problem) -> Committed {
        guard evenIfEqual || changes.contains(where: \.isChange) else {
            return Committed(records: changes.map(\.record), revision: board.snapshot.revision)
        }
        let closing = Dictionary(
            changes.compactMap { change in change.endedLeases.map { (change.record.name, $0) } },
            uniquingKeysWith: { $1 })
        if let lease = board.close(closing, isForced: endsLeases) { throw .deviceLeased(lease) }
        defer { board.open(closing.keys) }
        let began = ContinuousClock.now
        do {
            CrashPoint.reach(CrashPoint.write)
            let committed = try store.write { transaction in
                let revision = try transaction.nextRevision()
                var records: [DeviceRecord] = []
                records.reserveCapacity(changes.count)
                for change in changes { records.append(try transaction.write(change, revision: revision)) }
                try also(transaction, revision)
                return Committed(records: records, revision: revision)
            } committed: { committed in
                CrashPoint.reach(CrashPoint.written)
                metrics.commitDuration.observe(began.duration(to: .now))
                board.publish(
                    zip(changes, committed.records).filter(\.0.isChange).map(\.1), revision: committed.revision)
                board.setStoreFailure(nil)
            }
            queue.add(zip(changes, committed.records).filter(\.0.isChange).map(\.1.name))
            return committed
        } catch let error as StoreError {
            board.setStoreFailure(error.description)
            // The worker finds out when it is over.
            queue.wake()
            throw .store(error)
        } catch {
            throw .store(.failed(detail: "\(error)"))
        }
    }

    private func answer(
        _ call: Call, _ record: DeviceRecord, status: Int, wait: Duration?, goal: Board.Goal
    ) {
        let view = board.snapshot.devices[record.name] ?? DeviceView(record: record)
        guard let wait else {
            if case .gone = goal { return call.answer(view, status: Self.unreached) }
            return call.answer(view, status: status)
        }
        board.wait(for: [record.name: goal], atMost: wait) { snapshot, isReached in
            call.answer(snapshot.devices[record.name] ?? view, status: isReached ? status : Self.unreached)
        }
    }

    /// A new device, or the change of an old one to what `input` says.
    ///
    /// - Parameters:
    ///   - old: The device as it is; nothing when there is none.
    ///   - input: What it shall be.
    ///   - mayRecreate: Whether the interface may be made anew for a field that is fixed at its creation.
    /// - Returns: What is to be written.
    /// - Throws: `Problem` when the device cannot become so.
    static func change(_ old: DeviceView?, to input: DeviceInput, mayRecreate: Bool) throws(Problem) -> Change {
        guard let old, var record = Optional(old.record) else {
            if let version = input.resourceVersion { throw .staleResourceVersion(found: version, current: 0) }
            return .create(
                DeviceRecord(
                    name: input.name, identifier: .random(), labels: input.labels, spec: input.spec, createdAt: .now()))
        }
        guard record.deletionRequestedAt == nil else { throw .deviceDeleting(record.name) }
        if let version = input.resourceVersion, version != record.revision {
            throw .staleResourceVersion(found: version, current: record.revision)
        }
        let fixed = input.spec.immutableFieldsDiffering(from: record.spec)
        guard fixed.isEmpty || mayRecreate else { throw .immutableFields(fixed) }
        let homeless = record.assignments(beyond: input.spec.queues)
        guard homeless.isEmpty else { throw .queuesTaken(record.name, homeless, wanted: input.spec.queues) }
        // A stranger may have changed what cannot be changed back.
        let recreates = mayRecreate && (!fixed.isEmpty || old.status[.ready]?.reason == Obstacle.immutableReason)
        guard recreates || record.spec != input.spec || record.labels != input.labels else { return .nothing(record) }
        if recreates || record.spec != input.spec { record.generation += 1 }
        if recreates { record.recreateGeneration = record.generation }
        record.spec = input.spec
        record.labels = input.labels
        record.disabledQueues = record.disabledQueues.filter(input.spec.queues.canDisable)
        record.updatedAt = max(.now(), record.updatedAt)
        return .update(record, from: old.record)
    }

    /// The same device, marked for deletion; nothing new where it is.
    static func deletion(of old: DeviceRecord) -> Change {
        guard old.deletionRequestedAt == nil else { return .nothing(old) }
        var record = old
        record.updatedAt = max(.now(), record.updatedAt)
        record.deletionRequestedAt = record.updatedAt
        return .delete(record)
    }

    /// Reads a document as a device.
    func input(_ document: JSONValue, name: DeviceName? = nil) throws(Problem) -> DeviceInput {
        let reading = issues(document, name: name)
        guard let input = reading.input else { throw .invalidDocument(InvalidDocument(reading.issues).issues) }
        return input
    }

    /// A device, or every mistake: what its document says wrong, and what this kernel cannot do.
    func issues(_ document: JSONValue, name: DeviceName? = nil) -> (input: DeviceInput?, issues: [FieldIssue]) {
        do throws(InvalidDocument) {
            let input = try DeviceInput(document, accounts: accounts, pathName: name)
            let refusals = features.refusals(of: input.spec)
            guard refusals.isEmpty else {
                return (nil, refusals.map { FieldIssue(pointer: $0.field.pointer, detail: $0.detail) })
            }
            return (input, [])
        } catch {
            return (nil, error.issues)
        }
    }
}

extension Transaction {
    /// - Returns: The record as it is then.
    fileprivate func write(_ change: DeviceWrites.Change, revision: Int) throws -> DeviceRecord {
        switch change {
        case .nothing(let record): return record
        case .delete(let record): return try markDeleted(record, revision: revision)
        case .queues(let record, let old):
            try saveQueues(of: record, replacing: old)
            return record
        case .update(let record, let old):
            try saveQueues(of: record, replacing: old)
            return try save(record, revision: revision)
        case .restore(let record):
            // The worker may have forgotten the device since it was looked at, and its queues with it.
            let saved = try save(record, revision: revision)
            try saveQueues(of: saved, replacing: nil)
            return saved
        case .create(let record):
            // Only an adopted device comes with its claim.
            let saved = try save(record, revision: revision)
            if let claim = record.claim { try self.claim(claim, for: record.name) }
            return saved
        }
    }
}
