internal import TapCore
internal import TapDocument
internal import TapStore

/// A request that may be sent twice and is done once: its key, and what tells it from another one.
struct IdempotentRequest: Sendable {
    let key: IdempotencyKey
    let actor: String
    /// A digest of all that the request asks for.
    let fingerprint: [UInt8]

    /// The answer that the request had before; `nil` if it is new.
    ///
    /// - Throws: `Refusal.idempotencyKeyReused` when another request had the key.
    func answer(in group: borrowing WriteGroup) throws(Refusal) -> PastAnswer? {
        guard let past = try group.read({ try $0.answer(to: key, of: actor, at: .now()) }) else { return nil }
        guard past.fingerprint == fingerprint else { throw .idempotencyKeyReused(key, at: past.at) }
        return past
    }

    /// Has the answer committed with what the request did. The same request gets this answer again, which says what was
    /// written, and does not wait.
    func remember(
        status: Int, headers: [String: String], body: [UInt8], in group: inout WriteGroup
    ) throws(Refusal) {
        let answer = PastAnswer(
            actor: actor, key: key, fingerprint: fingerprint, at: .now(), status: status, headers: headers, body: body)
        try group.write { try $0.remember(answer) }
    }
}
