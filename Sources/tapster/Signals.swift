internal import Glibc

/// SIGTERM, SIGINT and SIGHUP, taken from their usual effect and waited for.
struct Signals {
    enum Action {
        case stop
        case reload
    }

    private var set = sigset_t()

    /// To be made before any other thread: they inherit that the signals are blocked, so only `wait` gets them.
    init() {
        // A client that goes away must not take the daemon with it.
        _ = signal(SIGPIPE, SIG_IGN)
        // Nor a limit on the size of files: the database is told instead (EFBIG).
        _ = signal(SIGXFSZ, SIG_IGN)
        // SAFETY: the calls fill and read the local set.
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGHUP)
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// - Returns: What is wanted, and the signal's name.
    func wait() -> (action: Action, name: String) {
        var set = set
        var number: Int32 = 0
        // SAFETY: the call reads the set and writes the number.
        _ = unsafe sigwait(&set, &number)
        return number == SIGHUP ? (.reload, "SIGHUP") : (.stop, number == SIGINT ? "SIGINT" : "SIGTERM")
    }
}
