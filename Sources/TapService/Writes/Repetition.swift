internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore

/// A request that may be sent twice and is done once: its key, and what tells it from another one.
struct Repetition: Sendable {
    private let key: IdempotencyKey
    private let actor: String
    private let fingerprint: [UInt8]

    /// Nothing for a request without an `Idempotency-Key`, and for methods that may be repeated anyhow.
    ///
    /// - Throws: `Problem.invalidHeader`.
    init?(_ call: Call) throws(Problem) {
        let head = call.request.head
        guard head.method == "POST", let text = head.header("idempotency-key") else { return nil }
        do throws(ValidationError) { key = try IdempotencyKey(text) } catch {
            throw .invalidHeader(name: "Idempotency-Key", detail: error.detail)
        }
        actor = call.author.name
        // The parameters in order: two that only differ in it ask for the same.
        let query = head.query.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let target = ([head.method, head.path] + query).joined(separator: "\n")
        fingerprint = SHA256.digest(Array(target.utf8) + [0] + call.request.body)
    }

    /// The answer that the request had before; nothing when it is new.
    ///
    /// - Throws: `Problem.idempotencyKeyReused` when another request had the key.
    func answer(in group: borrowing WriteGroup) throws(Problem) -> HTTPResponse? {
        guard let past = try group.read({ try $0.answer(to: key, of: actor, at: .now()) }) else { return nil }
        guard past.fingerprint == fingerprint else { throw .idempotencyKeyReused(key, at: past.at) }
        let headers = past.headers.map { ($0.key, $0.value) } + [("Idempotency-Replayed", "true")]
        return HTTPResponse(status: past.status, headers: headers, body: HTTPBody(past.body))
    }

    /// Has the answer committed with what the request did. Who repeats it gets this answer, which says what was stated,
    /// and does not wait.
    func remember(_ response: HTTPResponse, in group: inout WriteGroup) throws(Problem) {
        let answer = PastAnswer(
            actor: actor, key: key, fingerprint: fingerprint, at: .now(), status: response.status,
            headers: Dictionary(response.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }),
            body: response.body.bytes)
        try group.write { try $0.remember(answer) }
    }
}
