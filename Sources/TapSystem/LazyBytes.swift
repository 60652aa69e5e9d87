internal import Synchronization

/// Bytes that are made on first use. To read them takes no lock, which threads would contend for.
@safe public struct LazyBytes: ~Copyable, Sendable {
    // SAFETY: set once, with a reference that is counted until `deinit`.
    private let made = unsafe Atomic<Unmanaged<SharedBytes>?>(nil)

    public init() {}

    /// The bytes, which `make` makes. If several threads do at the same time, all use the result of the first.
    public func bytes(_ make: () -> SharedBytes) -> SharedBytes {
        if let bytes = unsafe made.load(ordering: .acquiring) { return unsafe bytes.takeUnretainedValue() }
        let fresh = unsafe Unmanaged.passRetained(make())
        let (isFirst, first) = unsafe made.compareExchange(
            expected: nil, desired: fresh, ordering: .acquiringAndReleasing)
        guard !isFirst, let first = unsafe first else { return unsafe fresh.takeUnretainedValue() }
        unsafe fresh.release()
        return unsafe first.takeUnretainedValue()
    }

    deinit { unsafe made.load(ordering: .relaxed)?.release() }
}
