internal import Glibc

/// Blocks SIGTERM, SIGINT and SIGHUP, and waits for them.
struct Signals {
    enum Action {
        case stop
        case reload
    }

    private var set = sigset_t()

    /// Must be called before any other thread starts: threads inherit the mask, so that only `wait` gets the signals.
    init() {
        // Writing to a connection that the client has closed must not end the daemon.
        _ = signal(SIGPIPE, SIG_IGN)
        // Nor must a limit on the size of files: the database then gets EFBIG.
        _ = signal(SIGXFSZ, SIG_IGN)
        // SAFETY: the calls fill and read the local set.
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGHUP)
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// - Returns: The action that the signal requests, and the signal's name.
    func wait() -> (action: Action, name: String) {
        var set = set
        var number: Int32 = 0
        // SAFETY: the call reads the set and writes the number.
        _ = unsafe sigwait(&set, &number)
        return number == SIGHUP ? (.reload, "SIGHUP") : (.stop, number == SIGINT ? "SIGINT" : "SIGTERM")
    }
}
