internal import Dispatch
internal import Synchronization
internal import TapHTTP
internal import TapSystem
internal import TapEngine

/// All who watch. Whoever changes something wakes them, and waits for none of them.
final class Watchers: Sendable {
    static let watchersMax = 64
    /// Of those who have one name in the history, as a user or a token: others shall get a place.
    static let watchersOfOneMax = 56
    /// A bookmark moves the place from which a client may resume, keeps the connection from looking dead, and finds out
    /// that it is.
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

    /// - Returns: What to answer with.
    /// - Throws: `Problem.tooManyWatchers`.
    func add(_ watcher: Watcher) throws(Problem) -> HTTPStream {
        let stream = HTTPStream(watcher)
        let (count, owned) = entries.withLock { entries -> (Int?, Int) in
            let owned = entries.values.count { $0.watcher.owner == watcher.owner }
            guard entries.count < Self.watchersMax, owned < Self.watchersOfOneMax else { return (nil, owned) }
            entries[ObjectIdentifier(watcher)] = Entry(watcher: watcher, stream: stream)
            gauge.set(Double(entries.count))
            return (entries.count, owned)
        }
        guard let count else {
            let owner = owned < Self.watchersOfOneMax ? nil : watcher.owner
            // Some may be gone without that anybody has noticed: there may be a place in a moment.
            sendBookmarks(of: owner)
            throw .tooManyWatchers(owner: owner, max: owner == nil ? Self.watchersMax : Self.watchersOfOneMax)
        }
        if count == 1 { setTimer() }
        return stream
    }

    /// Others may watch than before. The bookmarks' timer asks too, since tokens expire by themselves.
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

    /// Something has changed.
    func wake() {
        for entry in all { entry.stream.wake() }
    }

    private var all: [Entry] { entries.withLock { $0.isEmpty ? [] : Array($0.values) } }

    /// - Parameter owner: Whose watches are meant; nothing means all.
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
