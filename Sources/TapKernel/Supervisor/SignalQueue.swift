internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// Blocks signals, so that they have no other effect, and reads them one by one (signalfd(2)).
struct SignalQueue: ~Copyable {
    struct Signal {
        let number: Int32
        /// Whether the kernel has sent it (`SI_KERNEL`): a terminal's signal goes to all foreground processes.
        let isFromTerminal: Bool
    }

    private let descriptor: FileDescriptor

    /// Must be created while there is one thread: later threads inherit the blocked signals.
    init(_ signals: [Int32]) throws(Errno) {
        var set = sigset_t()
        // SAFETY: the calls fill and read the local set.
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        let flags = Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK)
        descriptor = FileDescriptor(owning: try systemCall { unsafe signalfd(-1, &set, flags) })
    }

    var number: Int32 { descriptor.number }

    /// - Returns: The next pending signal; `nil` if there is none.
    func next() -> Signal? {
        var information = signalfd_siginfo()
        // SAFETY: the kernel writes one record.
        let count = unsafe read(descriptor.number, &information, MemoryLayout<signalfd_siginfo>.size)
        guard count == MemoryLayout<signalfd_siginfo>.size else { return nil }
        // SI_KERNEL
        return Signal(number: Int32(information.ssi_signo), isFromTerminal: information.ssi_code == 0x80)
    }
}
