internal import Dispatch
internal import Glibc

/// SIGTERM and SIGINT, taken from their usual effect and waited for.
final class StopSignals {
    private let arrived = DispatchSemaphore(value: 0)
    private let queue = DispatchQueue(label: "tapster.signals")
    private var sources: [any DispatchSourceSignal] = []
    // SAFETY: written on `queue` before the semaphore is signalled, read after.
    private nonisolated(unsafe) var number: Int32 = 0

    init() {
        // A client that goes away must not take the daemon with it.
        _ = signal(SIGPIPE, SIG_IGN)
        for signalNumber in [SIGTERM, SIGINT] {
            _ = signal(signalNumber, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: signalNumber, queue: queue)
            source.setEventHandler { [self] in
                unsafe number = signalNumber
                arrived.signal()
            }
            source.resume()
            sources.append(source)
        }
    }

    /// - Returns: The signal's name.
    func wait() -> String {
        arrived.wait()
        return unsafe number == SIGINT ? "SIGINT" : "SIGTERM"
    }
}
