public import TapSystem
internal import CMicroHTTPD
internal import Synchronization

/// What a stream does next.
public enum HTTPStreamStep: Sendable {
    /// These bytes follow, one body behind the other.
    case send([HTTPBody])
    /// There is nothing to say until `HTTPStream.wake`.
    case wait
    case end
}

/// Knows what a stream says.
public protocol HTTPStreamSource: Sendable {
    /// Called when all that came before has been handed to the kernel, by one thread at a time.
    ///
    /// - Parameter isStopping: The server stops: `wait` is the end then.
    /// - Returns: What follows.
    func next(isStopping: Bool) -> HTTPStreamStep

    /// Called once, after the last `next`.
    ///
    /// - Parameter isOverdue: The client was cut off because it did not read.
    func ended(isOverdue: Bool)
}

/// An answer without a length: it goes on until its source ends it, or the client goes. While there is nothing to say
/// the connection is parked, and costs no thread. Nothing is made before the client has taken what came before it.
@safe public final class HTTPStream: @unchecked Sendable {
    // Unchecked: `pieces`, `offset` and `isAtEnd` are touched by the connection's own thread alone, all else is
    // constant or in the mutex.

    @safe private struct Connection: @unchecked Sendable {
        // Unchecked: the library's functions that park a connection may be called from any thread. The pointer is valid
        // until the library reports the request completed, and `finish` comes with that.
        let pointer: OpaquePointer
    }

    private struct State {
        var connection: Connection?
        var client: ClientConnection?
        var isParked = false
        /// Whether there is news that the source has perhaps not been asked for.
        var isWoken = false
        var isStopping = false
        var isFinished = false
    }

    /// `MHD_CONTENT_READER_END_OF_STREAM`
    static let end = -1
    /// Of memory for a client that does not understand chunks; others are sent what fits in their connection's memory.
    private static let blockBytes = 16 << 10

    private let source: any HTTPStreamSource
    private let state = Mutex(State())
    private var stallSeconds = 0
    private var pieces: ArraySlice<HTTPBody> = []
    /// Within the first piece.
    private var offset = 0
    private var isAtEnd = false

    public init(_ source: some HTTPStreamSource) {
        self.source = source
    }

    /// Has the source asked again. It may be called at any time, and does not block.
    public func wake() {
        state.withLock { state in
            state.isWoken = true
            Self.resume(&state)
        }
    }

    /// Lets the source say its last.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            Self.resume(&state)
        }
    }

    /// Nobody reads any more.
    func finish() {
        let (isFirst, client) = state.withLock { state in
            defer {
                state.isFinished = true
                state.client = nil
            }
            return (!state.isFinished, state.client)
        }
        if isFirst { source.ended(isOverdue: client?.wasOverdue == true) }
    }

    private static func resume(_ state: inout State) {
        guard state.isParked, !state.isFinished, let connection = state.connection else { return }
        state.isParked = false
        // SAFETY: a parked connection lives until it is resumed, and under the lock nobody else resumes it.
        unsafe MHD_resume_connection(connection.pointer)
    }

    // MARK: Called by the connection's thread

    /// - Parameters:
    ///   - connection: Where it is sent.
    ///   - client: Who is given time to read.
    ///   - stallSeconds: How long it may take nothing while there is something.
    /// - Returns: The library's response, which keeps the stream; nothing when there is no memory for it.
    func response(on connection: OpaquePointer, client: ClientConnection?, stallSeconds: Int) -> OpaquePointer? {
        self.stallSeconds = stallSeconds
        let held = unsafe Connection(pointer: connection)
        state.withLock { state in
            state.connection = held
            state.client = client
        }
        // SAFETY: the library calls `freeStreamCallback` when it needs the stream no longer.
        let context = unsafe Unmanaged.passRetained(self)
        // MHD_SIZE_UNKNOWN
        let made = unsafe MHD_create_response_from_callback(
            .max, Self.blockBytes, readStreamCallback, context.toOpaque(), freeStreamCallback)
        if unsafe made == nil { unsafe context.release() }
        return unsafe made
    }

    /// Fills the buffer as far as there is something to say.
    ///
    /// - Returns: How many bytes; 0 when the connection is parked, `end` when nothing follows.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var filled = 0
        while filled < buffer.count {
            if let piece = pieces.first {
                let count = unsafe min(piece.buffer.count - offset, buffer.count - filled)
                // SAFETY: `count` fits both; the piece is kept by `pieces`, the buffer by the library during the call.
                let part = unsafe UnsafeRawBufferPointer(rebasing: piece.buffer[offset..<offset + count])
                unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(from: part)
                filled += count
                offset += count
                if unsafe offset == piece.buffer.count {
                    pieces.removeFirst()
                    offset = 0
                }
            } else if !fetch(mayPark: filled == 0) {
                break
            }
        }
        if filled == 0, isAtEnd { return Self.end }
        if filled > 0 { state.withLock { $0.client }?.expect(within: stallSeconds) }
        return filled
    }

    /// Asks the source.
    ///
    /// - Returns: False when it says nothing now.
    private func fetch(mayPark: Bool) -> Bool {
        while !isAtEnd {
            let isStopping = state.withLock { state in
                state.isWoken = false
                return state.isStopping
            }
            switch source.next(isStopping: isStopping) {
            case .send(let bodies):
                pieces = bodies[...]
                return true
            case .end: isAtEnd = true
            case .wait:
                if isStopping {
                    isAtEnd = true
                } else if !mayPark || park() {
                    return false
                }
            }
        }
        return false
    }

    /// - Returns: False when there is news already.
    private func park() -> Bool {
        state.withLock { state in
            guard !state.isWoken, !state.isStopping, let connection = state.connection else { return false }
            state.isParked = true
            state.client?.expectNothing()
            // SAFETY: the library is asking for its next bytes, so the connection lives.
            unsafe MHD_suspend_connection(connection.pointer)
            return true
        }
    }
}
