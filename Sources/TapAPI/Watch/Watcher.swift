internal import HashTreeCollections
internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine

/// One open watch. Its memory is bounded even if the client reads slowly: the place in the list of changes, and the
/// identifiers of the devices that the client knows.
final class Watcher: HTTPStreamSource {
    fileprivate struct State {
        var place: WatchPosition
        /// Devices for which the client got an event and no DELETED. After a resume, also those that it may know.
        var known: Set<DeviceIdentifier>
        /// Initially true: the first bookmark marks the end of the initial state.
        var isBookmarkDue = true
        /// Whether the last bookmark, which is sent when the daemon stops, has been requested.
        var hasSaidLast = false
        /// Why the watch must end; `nil` if it may continue.
        var end: (reason: DropReason, problem: Problem)?
        var hasEnded = false
    }

    private let feed: any ChangeFeed
    private let selector: LabelSelector?
    private let format: WatchFormat
    /// Name of the caller; each caller may have a limited number of watches.
    let owner: String
    private let refusal: @Sendable () -> Problem?
    private let describe: @Sendable (Problem) -> HTTPBody
    private let dropped: @Sendable (DropReason) -> Void
    private let onEnd: @Sendable (Watcher) -> Void
    private let state: Mutex<State>

    /// Why a watch is ended by the server.
    enum DropReason: String {
        /// The client does not read.
        case stalled
        /// The client reads so slowly that deletions were discarded before they were sent.
        case behind
        /// The owner lost the permission to view devices.
        case refused
    }

    /// - Parameters:
    ///   - feed: Supplies the changes.
    ///   - start: Where the watch begins.
    ///   - selector: Selects the devices; `nil` selects all.
    ///   - format: Encodes the events.
    ///   - owner: Name of the caller.
    ///   - refusal: Why the owner may no longer watch; `nil` if it may.
    ///   - describe: Encodes a problem as JSON.
    ///   - dropped: Called if the server ends the watch.
    ///   - onEnd: Called once, at the end of the stream.
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

    /// Ends the watch if the owner's token was revoked or has expired, or if its role no longer allows it.
    ///
    /// - Returns: Whether the watch may continue.
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
                    guard let kind = state.eventKind(change, view, selector) else { continue }
                    // All deletions of a revision are one change: a client that resumes between them must get the rest.
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
        // If the server has ended the watch, `next` has called `dropped` already.
        if isOverdue, !state.withLock({ $0.hasEnded }) { dropped(.stalled) }
        onEnd(self)
    }
}

extension Watcher.State {
    /// - Returns: The event for this client; `nil` if the change does not concern it.
    fileprivate mutating func eventKind(
        _ change: ChangeList.Change, _ view: DeviceView, _ selector: LabelSelector?
    ) -> WatchEvent.Kind? {
        guard change.last == nil, selector?.matches(view.record.labels) ?? true else {
            return known.remove(change.identifier) == nil ? nil : .deleted
        }
        return known.insert(change.identifier).inserted ? .added : .modified
    }
}
