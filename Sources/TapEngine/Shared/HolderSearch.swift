internal import Dispatch
internal import TapCore
internal import TapSystem

/// Finds the processes that hold interfaces open. It has a thread of its own, since a search reads files of every
/// process, and for each descriptor of an interface the kernel takes its network lock. Requests that wait together
/// share a search, and searches take at most a tenth of the time.
final class HolderSearch: Sendable {
    /// The most waiting requests.
    static let waitingMax = 64

    private struct Request: Sendable {
        let names: Set<String>
        let reply: @Sendable ([String: [DescriptorHolder]]) -> Void
    }

    private let thread: SerialThread<Request>
    private let isStopping = DispatchSemaphore(value: 0)

    init(_ source: any DescriptorHolderSource) {
        thread = SerialThread("tapster-holders", waitingMax: Self.waitingMax) { [isStopping] requests in
            let names = requests.reduce(into: Set<String>()) { $0.formUnion($1.names) }
            let began = ContinuousClock.now
            let holders = names.isEmpty ? [:] : source.holders(of: names)
            var budget = SurveyBudget(began)
            budget.note(began, took: began.duration(to: .now))
            for request in requests { request.reply(holders) }
            guard !names.isEmpty else { return }
            let pause = ContinuousClock.now.duration(to: budget.due)
            if isStopping.wait(timeout: .now() + pause.inSeconds) == .success { isStopping.signal() }
        }
    }

    /// Starts the thread.
    func start() throws(ThreadFailure) { try thread.start() }

    /// Answers the waiting requests, and ends the thread.
    func stop() {
        isStopping.signal()
        thread.stop()
    }

    /// Finds the holders of interfaces with these names, in a search that begins after this call.
    ///
    /// - Parameters:
    ///   - names: The interfaces' names.
    ///   - reply: Called on the search's thread, also with holders of further interfaces.
    /// - Returns: False if too many requests wait; `reply` is then not called.
    func find(_ names: Set<String>, reply: @escaping @Sendable ([String: [DescriptorHolder]]) -> Void) -> Bool {
        thread.add(Request(names: names, reply: reply))
    }
}
