internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// The epoll instance (epoll(7)) that the worker waits on: the namespaces' link monitors, the leases' connections, an
/// eventfd by which other threads wake it, and the mount table, since a named network namespace appears and disappears
/// with a mount.
final class EventLoop {
    private static let eventsMax: Int32 = 64

    private let poll: FileDescriptor
    private let mounts: FileDescriptor
    let waker: EventWaker

    /// - Throws: EMFILE, ENFILE, ENOMEM.
    init() throws(Errno) {
        poll = FileDescriptor(owning: try systemCall { epoll_create1(Int32(EPOLL_CLOEXEC)) })
        waker = try EventWaker()
        mounts = try FileDescriptor(opening: "/proc/self/mountinfo", flags: O_RDONLY)
        try watch(waker.number)
        // The kernel reports a change of the mount table once, as a priority event (proc(5)).
        try watch(mounts.number, events: EPOLLPRI.rawValue)
    }

    /// Watches a descriptor, level-triggered: while there is something to read, every wait returns at once.
    func watch(_ descriptor: Int32, events: UInt32 = EPOLLIN.rawValue) throws(Errno) {
        let number = poll.number
        var event = unsafe epoll_event()
        unsafe event.events = events
        unsafe event.data.fd = descriptor
        // SAFETY: the kernel copies the event during the call.
        try systemCall { unsafe epoll_ctl(number, EPOLL_CTL_ADD, descriptor, &event) }
    }

    func unwatch(_ descriptor: Int32) {
        // The call fails if the descriptor is not watched, which does no harm.
        _ = epoll_ctl(poll.number, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// Waits until a watched descriptor is ready, another thread calls `wake`, or the deadline has passed.
    ///
    /// - Returns: The descriptors that are ready, the waker's among them.
    func wait(until deadline: ContinuousClock.Instant?) throws(Errno) -> [Int32] {
        let number = poll.number
        var events = unsafe [epoll_event](repeating: epoll_event(), count: Int(Self.eventsMax))
        // SAFETY: the kernel writes at most `eventsMax` events, during the call.
        let count = try systemCall(until: deadline) { unsafe epoll_wait(number, &events, Self.eventsMax, $0) }
        waker.reset()
        return unsafe events[0..<Int(count)].map { unsafe $0.data.fd }
    }

    /// The descriptor that is ready when something was mounted or unmounted.
    var mountsNumber: Int32 { mounts.number }
}

/// An eventfd(2): a write from any thread makes it readable.
final class EventWaker: Waker {
    private let descriptor: FileDescriptor

    init() throws(Errno) {
        let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
        descriptor = FileDescriptor(owning: try systemCall { eventfd(0, flags) })
    }

    var number: Int32 { descriptor.number }

    func wake() {
        // EAGAIN means that it is readable already.
        _ = eventfd_write(descriptor.number, 1)
    }

    func reset() {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor.number, &count)
    }
}
