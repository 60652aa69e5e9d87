internal import Dispatch
internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapStore
internal import TapSystem

/// Everything that readers may see, as one immutable value.
struct Snapshot: Sendable {
    var devices: TreeDictionary<DeviceName, DeviceView> = [:]
    /// The revision of the last committed change.
    var revision = 0
    /// Two snapshots of one version have the same documents of devices.
    fileprivate(set) var version: UInt64 = 0
    /// Whether the kernel has been looked at once in full.
    var isReady = false
    /// Why the worker cannot do its work, if it cannot.
    var workerFailure: String?
    /// Why the last write to the database failed, if it did.
    var storeFailure: String?

    /// What `/readyz` says.
    var isHealthy: Bool { isReady && workerFailure == nil && storeFailure == nil }
}

/// Where the newest snapshot hangs: taken under a short lock, so that readers wait for nobody.
///
/// Two hands write on it, each its own half: whoever commits a device's record (in the order of the commits), and the
/// worker, who tells its status.
final class Board: Sendable {
    /// Parked requests; above it a request with `wait` is answered at once.
    /// Each holds a connection, so there are fewer than `HTTPLimits.connectionsMax`: others shall get through.
    static let waitersMax = 256

    /// What a parked request waits for.
    enum Goal: Sendable {
        /// Read back from the kernel and equal, in this generation or a later one.
        case ready(generation: Int)
        case gone
    }

    fileprivate struct Waiter {
        let goals: [DeviceName: Goal]
        /// Whose goals are not reached yet.
        var open: Set<DeviceName>
        let deadline: ContinuousClock.Instant
        let completion: @Sendable (Snapshot, _ isReached: Bool) -> Void
    }

    fileprivate struct State {
        var snapshot = Snapshot()
        var waiters: [UInt64: Waiter] = [:]
        var waitersByName: [DeviceName: Set<UInt64>] = [:]
        var nextWaiter: UInt64 = 0
        /// Nobody waits any more: the daemon stops.
        var hasEndedWaits = false
        var changes = ChangeList()
        /// Devices that somebody is about to state so that leases cannot go on.
        var closed: Set<DeviceName> = []
    }

    private let state = Mutex(State())
    private let timer = DeadlineTimer()

    /// Called when devices have changed, on the thread that changed them.
    private let onChange: @Sendable () -> Void

    init(onChange: @escaping @Sendable () -> Void = {}) {
        self.onChange = onChange
        timer.onTime { [weak self] in self?.expire() }
    }

    var snapshot: Snapshot {
        state.withLock { state in
            var snapshot = state.snapshot
            snapshot.version = state.changes.sequence
            return snapshot
        }
    }

    /// The database's contents at the start.
    func load(_ records: [DeviceRecord], revision: Int) {
        state.withLock { state in
            state.changes = ChangeList(revision: revision)
            state.snapshot.revision = revision
            for record in records {
                // What changed before this start is not known.
                state.show(DeviceView(record: record, wasRelabelled: record.updatedAt > record.createdAt))
            }
        }
    }

    func setReady() { state.withLock { $0.snapshot.isReady = true } }

    func setStoreFailure(_ failure: String?) { state.withLock { $0.snapshot.storeFailure = failure } }

    func setWorkerFailure(_ failure: String?) { state.withLock { $0.snapshot.workerFailure = failure } }

    /// Committed records; the status stays.
    ///
    /// - Parameters:
    ///   - records: As they were decided in the writer's turn: what only writers change, the queues' consumers among it,
    ///     is in them as it is now.
    ///   - revision: The transaction's; a record that shows nothing of the change keeps its own.
    func publish(_ records: [DeviceRecord], revision: Int) {
        change(records.map(\.name)) { state in
            state.snapshot.revision = max(state.snapshot.revision, revision)
            for var record in records {
                let old = state.snapshot.devices[record.name]
                if let old, old.record.identifier == record.identifier {
                    // The worker may have settled or claimed it since the record was read.
                    record.settledGeneration = max(record.settledGeneration, old.record.settledGeneration)
                    record.claim = old.record.claim ?? record.claim
                }
                state.show(old?.with(record: record) ?? DeviceView(record: record, addedIn: revision))
            }
        }
    }

    /// Changes what the worker knows of some devices.
    func publish(_ updates: [WorkerUpdate]) {
        change(updates.map(\.name)) { state in
            for update in updates {
                // Another device of the same name may have come in between.
                guard let view = state.snapshot.devices[update.name], view.record.identifier == update.identifier else {
                    continue
                }
                var record = view.record
                if let claim = update.claim { record.claim = claim }
                if let settled = update.settledGeneration { record.settledGeneration = settled }
                state.show(view.with(record: record, status: update.status))
            }
        }
    }

    // MARK: Leases

    /// Takes queues off the market, before they are opened.
    ///
    /// - Parameters:
    ///   - lease: The queues.
    ///   - view: The version of the device in which they were free.
    /// - Returns: False while somebody states the device so that leases cannot go on, or when there is another version.
    func reserve(_ lease: LeaseView, in view: DeviceView) -> Bool {
        change([]) { state in
            guard !state.closed.contains(lease.device), state.snapshot.devices[lease.device] === view else {
                return false
            }
            state.show(view.with(leases: view.leases + [lease]))
            return true
        }
    }

    /// What the worker knows of a device's leases.
    func publish(_ leases: [LeaseView], of name: DeviceName) {
        change([]) { state in
            guard let view = state.snapshot.devices[name], view.leases != leases else { return }
            state.show(view.with(leases: leases))
        }
    }

    /// A lease is over.
    func release(_ id: LeaseIdentifier, of name: DeviceName) {
        change([]) { state in
            guard let view = state.snapshot.devices[name] else { return }
            state.show(view.with(leases: view.leases.filter { $0.id != id }))
        }
    }

    /// Ends the market for some devices, until `open`: between the look whether they are leased and the commit, nobody
    /// shall get a queue of theirs.
    ///
    /// - Parameters:
    ///   - devices: And which of a device's leases is in the way.
    ///   - isForced: Whether leases may end.
    /// - Returns: A lease that is in the way; then nothing is closed.
    func close(_ devices: [DeviceName: (LeaseView) -> Bool], isForced: Bool) -> LeaseView? {
        state.withLock { state in
            for (name, isInTheWay) in devices where !isForced {
                if let lease = state.snapshot.devices[name]?.leases.first(where: isInTheWay) { return lease }
            }
            state.closed.formUnion(devices.keys)
            return nil
        }
    }

    func open(_ names: some Sequence<DeviceName>) {
        state.withLock { $0.closed.subtract(names) }
    }

    /// Devices that are gone.
    func remove(_ names: [DeviceName], revision: Int) {
        change(names) { state in
            state.snapshot.revision = max(state.snapshot.revision, revision)
            for name in names {
                guard let last = state.snapshot.devices.removeValue(forKey: name) else { continue }
                state.changes.noteRemoval(last, revision: state.snapshot.revision)
            }
        }
    }

    /// Calls back once: when all goals are reached, perhaps at once, when one of them cannot be reached any more, or when
    /// the time is over.
    func wait(
        for goals: [DeviceName: Goal], atMost time: Duration,
        completion: @escaping @Sendable (Snapshot, _ isReached: Bool) -> Void
    ) {
        let deadline = ContinuousClock.now + time
        let (snapshot, isReached) = state.withLock { state -> (Snapshot, Bool?) in
            var waiter = Waiter(
                goals: goals, open: Set(goals.keys), deadline: deadline, completion: completion)
            if let isReached = waiter.look(at: Array(goals.keys), in: state.snapshot) {
                return (state.snapshot, isReached)
            }
            guard !state.hasEndedWaits, state.waiters.count < Self.waitersMax else { return (state.snapshot, false) }
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = waiter
            for name in waiter.open { state.waitersByName[name, default: []].insert(state.nextWaiter) }
            return (state.snapshot, nil)
        }
        if let isReached { completion(snapshot, isReached) } else { setTimer() }
    }

    /// Calls back all who wait, and whoever comes to wait from here on: what they have stated is kept, whoever sees to it.
    func endWaits() {
        let (waiters, snapshot) = state.withLock { state in
            state.hasEndedWaits = true
            return (state.waiters.keys.compactMap { state.removeWaiter($0) }, state.snapshot)
        }
        for waiter in waiters { waiter.completion(snapshot, false) }
    }

    /// One timer for all, set to the earliest deadline.
    private func setTimer() {
        state.withLock { state in
            if let earliest = state.waiters.values.map(\.deadline).min() { timer.schedule(at: earliest) }
        }
    }

    private func expire() {
        let (expired, snapshot) = state.withLock { state in
            let now = ContinuousClock.now
            let identifiers = state.waiters.filter { $0.value.deadline <= now }.keys
            return (identifiers.compactMap { state.removeWaiter($0) }, state.snapshot)
        }
        for waiter in expired { waiter.completion(snapshot, false) }
        setTimer()
    }

    /// - Parameters:
    ///   - names: Devices for which somebody may wait.
    ///   - body: Makes the change.
    /// - Returns: What `body` returns.
    @discardableResult
    private func change<Value: Sendable>(_ names: [DeviceName], _ body: (inout State) -> Value) -> Value {
        let (value, hasChanged, reached, snapshot) = state.withLock { state in
            let before = state.changes.sequence
            let value = body(&state)
            let reached = state.waiters.isEmpty ? [] : state.takeReached(names)
            return (value, state.changes.sequence != before, reached, state.snapshot)
        }
        if hasChanged { onChange() }
        for (waiter, isReached) in reached { waiter.completion(snapshot, isReached) }
        return value
    }

    // MARK: Watchers

    /// - Parameter revision: What a client has seen; nothing for one that has seen nothing.
    /// - Returns: From where it reads on.
    /// - Throws: `Refusal.resourceVersionGone` when it cannot be told any more what happened since.
    func start(after revision: Int?) throws(Refusal) -> WatchStart {
        let (start, oldest, newest) = state.withLock { state -> (WatchStart?, Int, Int) in
            let changes = state.changes
            let known = changes.forgotten.revision...state.snapshot.revision
            guard let revision else {
                let place = WatchPlace(sequence: 0, unconcernedUpTo: changes.sequence)
                let start = WatchStart(place: place, revision: nil, snapshot: state.snapshot, changed: [], removed: [])
                return (start, known.lowerBound, known.upperBound)
            }
            guard known.contains(revision) else { return (nil, known.lowerBound, known.upperBound) }
            let place = WatchPlace(
                sequence: changes.place(before: revision), unconcernedUpTo: changes.forgotten.sequence)
            let start = WatchStart(
                place: place, revision: revision, snapshot: state.snapshot,
                changed: changes.identifiers(after: place.sequence), removed: changes.removed(after: revision))
            return (start, known.lowerBound, known.upperBound)
        }
        if let start { return start }
        throw .resourceVersionGone(found: revision ?? 0, oldest: oldest, newest: newest)
    }

    func next(after place: WatchPlace) -> NextChange {
        state.withLock { state in
            let changes = state.changes
            guard changes.forgotten.sequence <= max(place.sequence, place.unconcernedUpTo) else { return .forgotten }
            guard let change = changes.first(after: place.sequence),
                let view = change.last ?? state.snapshot.devices[change.name]
            else { return .nothing(revision: state.snapshot.revision) }
            return .change(change, view)
        }
    }
}

extension Board.State {
    /// Puts a version in the place of the one before it.
    fileprivate mutating func show(_ view: DeviceView) {
        let old = snapshot.devices.updateValue(view, forKey: view.record.name)
        if let old, old.showsSame(as: view) { return }
        if let old, old.record.identifier != view.record.identifier {
            changes.noteRemoval(old, revision: snapshot.revision)
        }
        changes.note(view, revision: snapshot.revision)
    }

    /// Those who need not wait any longer.
    fileprivate mutating func takeReached(_ names: [DeviceName]) -> [(Board.Waiter, isReached: Bool)] {
        var namesByWaiter: [UInt64: [DeviceName]] = [:]
        for name in names { for id in waitersByName[name] ?? [] { namesByWaiter[id, default: []].append(name) } }
        var reached: [(Board.Waiter, isReached: Bool)] = []
        for (id, names) in namesByWaiter {
            guard let isReached = waiters[id]?.look(at: names, in: snapshot), let waiter = removeWaiter(id) else {
                continue
            }
            reached.append((waiter, isReached))
        }
        return reached
    }

    fileprivate mutating func removeWaiter(_ id: UInt64) -> Board.Waiter? {
        guard let waiter = waiters.removeValue(forKey: id) else { return nil }
        for name in waiter.goals.keys {
            waitersByName[name]?.remove(id)
            if waitersByName[name]?.isEmpty == true { waitersByName[name] = nil }
        }
        return waiter
    }
}

extension Board.Waiter {
    /// Strikes off the goals that are reached; nothing while some are left that may still be reached. A device that is
    /// ready stays struck off, whatever becomes of it.
    fileprivate mutating func look(at names: [DeviceName], in snapshot: Snapshot) -> Bool? {
        for name in names where open.contains(name) {
            switch goals[name]?.isReached(by: snapshot.devices[name]) {
            case true?: open.remove(name)
            case false?: return false
            case nil: break
            }
        }
        return open.isEmpty ? true : nil
    }
}

extension Board.Goal {
    /// Nothing while it may still be reached; false when the device went before it was ready.
    func isReached(by view: DeviceView?) -> Bool? {
        switch self {
        case .ready(let generation):
            guard let view else { return false }
            return view.phase == .ready && view.status.observedGeneration >= generation ? true : nil
        case .gone: return view == nil ? true : nil
        }
    }
}

/// What the worker learnt of one device.
struct WorkerUpdate: Sendable {
    let name: DeviceName
    let identifier: DeviceIdentifier
    var status: DeviceStatus?
    var claim: Claim?
    var settledGeneration: Int?
}
