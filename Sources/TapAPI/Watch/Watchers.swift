internal import Dispatch
internal import Synchronization
internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// All open watches. A change wakes their streams without waiting for them.
final class Watchers: Sendable {
    /// Most watches of all owners together.
    static let watchersMax = 64
    /// Most watches of one owner (a user, token or certificate), so that one owner cannot use up all places.
    static let watchersPerOwnerMax = 56
    /// Interval of bookmarks. They advance the revision from which a client may resume, keep the connection alive, and
    /// reveal dead connections.
    static let bookmarkSeconds = 10

    private struct Entry {
        let watcher: Watcher
        let stream: HTTPStream
    }

    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])
    private let gauge: Gauge
    private let timer = DeadlineTimer()

    init(gauge: Gauge) {
        self.gauge = gauge
        timer.onTime { [weak self] in
            self?.checkAccess()
            self?.sendBookmarks()
            self?.setTimer()
        }
    }

    /// - Returns: The stream of the response.
    /// - Throws: `Problem.tooManyWatchers` if all places, or all of the owner, are taken.
    func add(_ watcher: Watcher) throws(Problem) -> HTTPStream {
        let stream = HTTPStream(watcher)
        let (count, owned) = entries.withLock { entries -> (Int?, Int) in
            let owned = entries.values.count { $0.watcher.owner == watcher.owner }
            guard entries.count < Self.watchersMax, owned < Self.watchersPerOwnerMax else { return (nil, owned) }
            entries[ObjectIdentifier(watcher)] = Entry(watcher: watcher, stream: stream)
            gauge.set(Double(entries.count))
            return (entries.count, owned)
        }
        guard let count else {
            let owner = owned < Self.watchersPerOwnerMax ? nil : watcher.owner
            // Bookmarks reveal dead connections, so that a place may become free.
            sendBookmarks(of: owner)
            throw .tooManyWatchers(owner: owner, max: owner == nil ? Self.watchersMax : Self.watchersPerOwnerMax)
        }
        if count == 1 { setTimer() }
        return stream
    }

    /// Called after a change of the access rules, and with the bookmarks, since tokens expire.
    func checkAccess() {
        for entry in all {
            if !entry.watcher.checkAccess() { entry.stream.wake() }
        }
    }

    func remove(_ watcher: Watcher) {
        entries.withLock { entries in
            entries[ObjectIdentifier(watcher)] = nil
            gauge.set(Double(entries.count))
        }
    }

    /// Called after each change.
    func wake() {
        for entry in all { entry.stream.wake() }
    }

    private var all: [Entry] { entries.withLock { $0.isEmpty ? [] : Array($0.values) } }

    /// - Parameter owner: Sends only to the watches of this owner; `nil` sends to all.
    private func sendBookmarks(of owner: String? = nil) {
        for entry in all where owner == nil || entry.watcher.owner == owner {
            entry.watcher.setBookmarkDue()
            entry.stream.wake()
        }
    }

    private func setTimer() {
        entries.withLock { entries in
            guard !entries.isEmpty else { return }
            timer.schedule(after: .seconds(Self.bookmarkSeconds))
        }
    }
}
