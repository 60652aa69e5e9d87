internal import Synchronization
internal import TapCore
internal import TapDocument
internal import TapEngine
internal import TapHTTP
internal import TapSystem

/// Answers `GET /v1/unmanaged`, the dearest question: it needs a full read of the kernel and a search of all processes.
/// Requests that wait at the same time share one, which begins after the last of them has arrived.
final class UnmanagedList: Sendable {
    /// The most waiting requests.
    static let waitingMax = 1_024

    private struct State {
        /// Requests for the next question.
        var waiting: [Call] = []
        /// Whether a question is in progress, which answers earlier requests.
        var isAsked = false
    }

    private let engine: Engine
    private let state = Mutex(State())

    init(_ engine: Engine) {
        self.engine = engine
    }

    /// Answers the request later.
    ///
    /// - Throws: `Refusal.tooManyQuestions`.
    func add(_ call: Call) throws(Problem) {
        let isAccepted = state.withLock { state in
            guard state.waiting.count < Self.waitingMax else { return false }
            state.waiting.append(call)
            return true
        }
        guard isAccepted else { throw .refused(.tooManyQuestions) }
        ask()
    }

    /// Asks for all waiting requests, unless a question is in progress.
    private func ask() {
        let calls: [Call] = state.withLock { state in
            guard !state.isAsked, !state.waiting.isEmpty else { return [] }
            defer { state.waiting = [] }
            state.isAsked = true
            return state.waiting
        }
        guard !calls.isEmpty else { return }
        do throws(Refusal) {
            try engine.unmanaged { [self] result in
                answer(calls, result)
                finish()
            }
        } catch {
            answer(calls, .failure(error))
            state.withLock { $0.isAsked = false }
        }
    }

    private func finish() {
        state.withLock { $0.isAsked = false }
        ask()
    }

    private func answer(_ calls: [Call], _ result: Result<[HeldDevice], Refusal>) {
        switch result {
        case .success(let devices):
            let items = devices.sorted { $0.device.link.name < $1.device.link.name }.map(UnmanagedDocument.init)
            let bytes = ItemList(items).document.bytes
            let body = HTTPBody(bytes)
            let entityTag = "\"" + SHA256.text(SHA256.digest(bytes)) + "\""
            for call in calls { call.answer(body, type: "application/json", entityTag: entityTag) }
        case .failure(let refusal):
            for call in calls { call.fail(.refused(refusal)) }
        }
    }
}

extension UnmanagedDocument {
    fileprivate init(_ held: HeldDevice) {
        let device = held.device
        self.init(
            device.link, in: device.namespace, controller: device.controller, addresses: device.addresses,
            holders: held.holders)
    }
}
