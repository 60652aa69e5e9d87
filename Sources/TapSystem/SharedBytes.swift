/// Immutable bytes at a fixed address, which several readers can share without a copy.
@safe public final class SharedBytes: @unchecked Sendable {
    // Unchecked: the buffer is written only in `init`, and freed with the object.
    /// No bytes.
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

    /// A copy.
    public var bytes: [UInt8] { unsafe Array(buffer) }

    /// In bytes.
    public var count: Int { unsafe buffer.count }

    deinit {
        unsafe buffer.deallocate()
    }
}
