/// Bytes that many readers share without a copy. They do not move or change while the object lives.
@safe public final class SharedBytes: @unchecked Sendable {
    // Unchecked: the buffer is written in `init` alone, and freed with the object.
    public static let empty = SharedBytes([])

    /// Valid while the object lives.
    public let buffer: UnsafeMutableRawBufferPointer

    public init(_ bytes: some Collection<UInt8>) {
        unsafe buffer = .allocate(byteCount: bytes.count, alignment: 1)
        unsafe buffer.copyBytes(from: bytes)
    }

    public convenience init(_ text: String) {
        self.init(text.utf8)
    }

    public var bytes: [UInt8] { unsafe Array(buffer) }

    public var count: Int { unsafe buffer.count }

    deinit {
        unsafe buffer.deallocate()
    }
}
