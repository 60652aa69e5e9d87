internal import TapCore
package import TapDocument
package import TapStore

/// A request that may be sent twice and is done once: its key, and what tells it from another one.
package struct IdempotentRequest: Sendable {
    package let key: IdempotencyKey
    package let actor: String
    /// A digest of all that the request asks for.
    package let fingerprint: [UInt8]

    package init(key: IdempotencyKey, actor: String, fingerprint: [UInt8]) {
        self.key = key
        self.actor = actor
        self.fingerprint = fingerprint
    }

    /// The answer that the request had before; `nil` if it is new.
    ///
    /// - Throws: `Refusal.idempotencyKeyReused` when another request had the key.
    package func answer(in group: borrowing WriteGroup) throws(Refusal) -> PastAnswer? {
        guard let past = try group.read({ try $0.answer(to: key, of: actor, at: .now()) }) else { return nil }
        guard past.fingerprint == fingerprint else { throw .idempotencyKeyReused(key, at: past.at) }
        return past
    }

    /// Has the answer committed with what the request did. The same request gets this answer again, which says what was
    /// written, and does not wait.
    package func remember(
        status: Int, headers: [String: String], body: [UInt8], in group: inout WriteGroup
    ) throws(Refusal) {
        let answer = PastAnswer(
            actor: actor, key: key, fingerprint: fingerprint, at: .now(), status: status, headers: headers, body: body)
        try group.write { try $0.remember(answer) }
    }
}
