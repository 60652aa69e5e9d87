internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// Statements about a device: decided within the transaction, against what is committed.
struct DeviceWrites: Sendable {
    let store: Store
    let board: Board
    let queue: WorkQueue
    let writes: WriteQueue
    let accounts: any Accounts

    /// 202: it is stated, but not yet so.
    private static let unreached = 202

    /// What a statement comes to.
    enum Change {
        case create(DeviceRecord)
        case update(DeviceRecord)
        case nothing(DeviceRecord)
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
        let isTaken = writes.add {
            do throws(Problem) {
                let (record, status) = try commit(call, name, decide)
                queue.add(name)
                answer(call, record, status: status, wait: wait, goal: goal(record))
            } catch {
                call.fail(error)
            }
        }
        if !isTaken { throw .tooManyWrites }
    }

    private func commit(
        _ call: Call, _ name: DeviceName, _ decide: (DeviceView?) throws(Problem) -> Change
    ) throws(Problem) -> (DeviceRecord, status: Int) {
        let began = ContinuousClock.now
        do {
            // Nobody else writes now, so the board is what the database is.
            return try store.write { transaction in
                switch try decide(board.snapshot.devices[name]) {
                case .create(let record): (try transaction.save(record), 201)
                case .update(let record): (try transaction.save(record), 200)
                case .nothing(let record): (record, 200)
                }
            } committed: { record, _ in
                call.metrics.commitDuration.observe(began.duration(to: .now))
                board.publish(record)
                board.setStoreFailure(nil)
            }
        } catch let problem as Problem {
            throw problem
        } catch let error as StoreError {
            board.setStoreFailure(error.description)
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
        board.wait(for: goal, of: record.name, atMost: wait) { now, isReached in
            call.answer(now ?? view, status: isReached ? status : Self.unreached)
        }
    }

    /// A new device, or the change of an old one to what `input` says.
    static func change(_ old: DeviceRecord?, to input: DeviceInput) throws(Problem) -> Change {
        guard var record = old else {
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
        guard fixed.isEmpty else { throw .immutableFields(fixed) }
        guard record.spec != input.spec || record.labels != input.labels else { return .nothing(record) }
        if record.spec != input.spec { record.generation += 1 }
        record.spec = input.spec
        record.labels = input.labels
        record.updatedAt = max(.now(), record.updatedAt)
        return .update(record)
    }

    /// Reads a document as a device.
    func input(_ document: JSONValue, name: DeviceName? = nil) throws(Problem) -> DeviceInput {
        do throws(InvalidDocument) {
            return try DeviceInput(document, accounts: accounts, pathName: name)
        } catch {
            throw .invalidDocument(error.issues)
        }
    }
}
