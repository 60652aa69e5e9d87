internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine

/// One who is told of changes. It keeps its place in the list of changes, and which devices its client knows of: that
/// is all, however slowly the client reads.
final class Watcher: HTTPStreamSource {
    fileprivate struct State {
        var place: WatchPlace
        /// Devices that the client was told of, and not that they went. After a resume, also those that it may know.
        var known: Set<DeviceIdentifier>
        /// At first too: it tells that all that was there has been told.
        var isBookmarkDue = true
        var hasSaidLast = false
        /// Why it is cut off, once it is to be.
        var end: (reason: DropReason, problem: Problem)?
        var hasEnded = false
    }

    private let feed: any ChangeFeed
    private let selector: LabelSelector?
    private let format: WatchFormat
    /// Whose it is, as the limit for each goes.
    let owner: String
    private let refusal: @Sendable () -> Problem?
    private let describe: @Sendable (Problem) -> HTTPBody
    private let dropped: @Sendable (DropReason) -> Void
    private let onEnd: @Sendable (Watcher) -> Void
    private let state: Mutex<State>

    /// Why a watcher is cut off.
    enum DropReason: String {
        /// It does not read.
        case stalled
        /// It reads so slowly that removals were forgotten before it came to them.
        case behind
        /// Whoever opened it may not see devices any more.
        case refused
    }

    /// - Parameters:
    ///   - feed: What is watched.
    ///   - start: Where it begins.
    ///   - selector: Which devices it is told of; nothing for all.
    ///   - format: How it is told.
    ///   - owner: Whose it is.
    ///   - refusal: Why its owner may not watch any more; nothing as long as he may.
    ///   - describe: Puts a problem into JSON.
    ///   - dropped: Called when it is cut off.
    ///   - onEnd: Called once, when it is over.
    init(
        _ feed: some ChangeFeed, from start: WatchStart, selector: LabelSelector?, format: WatchFormat, owner: String,
        refusal: @escaping @Sendable () -> Problem?, describe: @escaping @Sendable (Problem) -> HTTPBody,
        dropped: @escaping @Sendable (DropReason) -> Void,
        onEnd: @escaping @Sendable (Watcher) -> Void
    ) {
        self.feed = feed
        self.selector = selector
        self.format = format
        self.owner = owner
        self.refusal = refusal
        self.describe = describe
        self.dropped = dropped
        self.onEnd = onEnd
        state = Mutex(State(place: start.place, known: start.known(selector)))
    }

    func setBookmarkDue() { state.withLock { $0.isBookmarkDue = true } }

    /// Cuts it off, where its token is revoked or has expired, or its owner's role was taken.
    ///
    /// - Returns: Whether it may go on.
    func checkAccess() -> Bool {
        guard let problem = refusal() else { return true }
        state.withLock { $0.end = $0.end ?? (.refused, problem) }
        return false
    }

    func next(isStopping: Bool) -> HTTPStreamStep {
        state.withLock { state in
            if let end = state.end {
                if state.hasEnded { return .end }
                state.hasEnded = true
                dropped(end.reason)
                return .send(format.frame(.error, describe(end.problem), resume: nil))
            }
            if isStopping, !state.hasSaidLast {
                state.hasSaidLast = true
                state.isBookmarkDue = true
            }
            while true {
                switch feed.next(after: state.place) {
                case .change(let change, let view):
                    state.place.sequence = change.sequence
                    guard let kind = state.tell(change, view, selector) else { continue }
                    // All removals of a revision belong to one change: who resumes in the midst of them shall see the
                    // rest.
                    let resume = change.last == nil ? change.revision : change.revision - 1
                    return .send(format.frame(kind, view.body, resume: resume))
                case .nothing(let revision):
                    guard state.isBookmarkDue else { return .wait }
                    state.isBookmarkDue = false
                    return .send(format.bookmark(revision))
                case .forgotten:
                    state.end = (.behind, .refused(.watcherBehind))
                    state.hasEnded = true
                    dropped(.behind)
                    return .send(format.frame(.error, describe(.refused(.watcherBehind)), resume: nil))
                }
            }
        }
    }

    func ended(isOverdue: Bool) {
        // One that was cut off already has been told of.
        if isOverdue, !state.withLock({ $0.hasEnded }) { dropped(.stalled) }
        onEnd(self)
    }
}

extension Watcher.State {
    /// - Returns: What the change is for this client; nothing when it does not concern it.
    fileprivate mutating func tell(
        _ change: ChangeList.Change, _ view: DeviceView, _ selector: LabelSelector?
    ) -> WatchEvent.Kind? {
        guard change.last == nil, selector?.matches(view.record.labels) ?? true else {
            return known.remove(change.identifier) == nil ? nil : .deleted
        }
        return known.insert(change.identifier).inserted ? .added : .modified
    }
}
