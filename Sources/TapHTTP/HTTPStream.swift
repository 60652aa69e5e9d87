public import TapSystem
internal import CMicroHTTPD
internal import Synchronization

/// The next step of a stream.
public enum HTTPStreamStep: Sendable {
    /// Send these bodies, one after the other.
    case send([HTTPBody])
    /// There are no bytes to send until `HTTPStream.wake`.
    case wait
    /// End the response.
    case end
}

/// Produces the bytes of a stream.
public protocol HTTPStreamSource: Sendable {
    /// Called by one thread at a time, when all earlier bytes have been written to the socket.
    ///
    /// - Parameter isStopping: The server is stopping; `wait` then ends the stream.
    /// - Returns: The next step.
    func next(isStopping: Bool) -> HTTPStreamStep

    /// Called once, after the last `next`.
    ///
    /// - Parameter isOverdue: Whether the client was cut off because it did not read.
    func ended(isOverdue: Bool)
}

/// A response without a length: it continues until its source ends it or the client disconnects. While there are no
/// bytes to send, the connection is suspended and needs no thread. Further bytes are produced only when the earlier
/// ones have been written to the socket.
@safe public final class HTTPStream: @unchecked Sendable {
    // Unchecked: only the connection's own thread accesses `stallSeconds`, `pieces`, `offset` and `isAtEnd`; all else
    // is constant or in the mutex.

    @safe private struct Connection: @unchecked Sendable {
        // Unchecked: the library's functions that suspend and resume a connection may be called from any thread. The
        // pointer is valid until the library reports the request completed, which calls `finish`.
        let pointer: OpaquePointer
    }

    private struct State {
        var connection: Connection?
        var client: ClientConnection?
        var isParked = false
        /// Whether `wake` was called after the source was last asked.
        var isWoken = false
        var isStopping = false
        var isFinished = false
    }

    /// `MHD_CONTENT_READER_END_OF_STREAM`
    static let end = -1
    /// Size of the buffer for clients without chunked coding; for others the connection's memory is the limit.
    private static let blockBytes = 16 << 10

    private let source: any HTTPStreamSource
    private let state = Mutex(State())
    private var stallSeconds = 0
    private var pieces: ArraySlice<HTTPBody> = []
    /// How many bytes of the first piece have been copied.
    private var offset = 0
    private var isAtEnd = false

    public init(_ source: some HTTPStreamSource) {
        self.source = source
    }

    /// Causes another call of the source's `next`. May be called at any time; does not block.
    public func wake() {
        state.withLock { state in
            state.isWoken = true
            Self.resume(&state)
        }
    }

    /// Lets the source send its last bytes, and ends the stream.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            Self.resume(&state)
        }
    }

    /// The request is complete or its connection is gone: calls the source's `ended`, once.
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
        // SAFETY: a suspended connection lives until it is resumed, and the lock keeps other threads from resuming it.
        unsafe MHD_resume_connection(connection.pointer)
    }

    // MARK: Called by the connection's thread

    /// - Parameters:
    ///   - connection: The connection on which it is sent.
    ///   - client: The client whose deadlines the stream sets.
    ///   - stallSeconds: How long the client may read nothing while there are bytes to send.
    /// - Returns: The library's response, which retains the stream; `nil` if there is no memory for it.
    func response(on connection: OpaquePointer, client: ClientConnection?, stallSeconds: Int) -> OpaquePointer? {
        self.stallSeconds = stallSeconds
        let held = unsafe Connection(pointer: connection)
        state.withLock { state in
            state.connection = held
            state.client = client
        }
        // SAFETY: the library calls `freeStreamCallback` when it no longer needs the stream.
        let context = unsafe Unmanaged.passRetained(self)
        // MHD_SIZE_UNKNOWN
        let made = unsafe MHD_create_response_from_callback(
            .max, Self.blockBytes, readStreamCallback, context.toOpaque(), freeStreamCallback)
        if unsafe made == nil { unsafe context.release() }
        return unsafe made
    }

    /// Fills the buffer with the bytes that are ready.
    ///
    /// - Returns: The number of bytes; 0 if the connection was suspended, `end` at the end of the stream.
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

    /// Gets the next bodies from the source.
    ///
    /// - Returns: False if there are none now.
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

    /// Suspends the connection.
    ///
    /// - Returns: False if `wake` or `stop` was called meanwhile; then it is not suspended.
    private func park() -> Bool {
        state.withLock { state in
            guard !state.isWoken, !state.isStopping, let connection = state.connection else { return false }
            state.isParked = true
            state.client?.clearDeadline()
            // SAFETY: the library is asking for its next bytes, so the connection lives.
            unsafe MHD_suspend_connection(connection.pointer)
            return true
        }
    }
}
