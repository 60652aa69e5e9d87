internal import Logging
internal import Synchronization
internal import TapSystem

/// Writes log lines to standard error on a thread of its own. No thread that logs waits: a reader that does not read,
/// such as a stopped terminal or a full pipe, blocks write(2) without end.
final class LogWriter: Sendable {
    /// The most lines that wait for the reader; further ones are dropped and counted.
    static let linesMax = 1_024
    /// The longest line in bytes of UTF-8; a longer one is cut.
    static let lineBytesMax = 8_192
    /// How long the end of the process waits for the reader of the last lines.
    static let stopSecondsMax = 1

    private let thread: SerialThread<String>
    private let dropped = DroppedLines()

    private final class DroppedLines: Sendable {
        let all = Atomic<UInt64>(0)
        /// Those that the log has told already.
        let told = Atomic<UInt64>(0)
    }

    /// - Parameter format: That of the line that tells how many lines were dropped.
    init(format: LogFormat) {
        thread = SerialThread("tapster-log", waitingMax: Self.linesMax) { [dropped] lines in
            StandardDescriptors.writeError(lines.joined())
            let all = dropped.all.load(ordering: .relaxed)
            let untold = all - dropped.told.exchange(all, ordering: .relaxed)
            guard untold > 0 else { return }
            let loss = format.line(.warning, "log lines were dropped: they were not read", ["lines": "\(untold)"])
            StandardDescriptors.writeError(loss + "\n")
        }
    }

    /// Starts the thread; lines that were written before have waited.
    ///
    /// - Throws: `ThreadFailure` if it cannot be created.
    func start() throws(ThreadFailure) { try thread.start() }

    /// Queues a line.
    func write(_ line: String) {
        var line = line
        if line.utf8.count > Self.lineBytesMax {
            line = String(decoding: line.utf8.prefix(Self.lineBytesMax), as: UTF8.self) + " [cut]"
        }
        if !thread.add(line + "\n") { dropped.all.add(1, ordering: .relaxed) }
    }

    /// How many lines were dropped since the start.
    var droppedCount: UInt64 { dropped.all.load(ordering: .relaxed) }

    /// Writes the waiting lines, but does not wait for long for a reader.
    func stop() { thread.stop(within: .seconds(Self.stopSecondsMax)) }
}
