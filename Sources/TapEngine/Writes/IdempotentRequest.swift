internal import TapCore
package import TapDocument
package import TapStore

/// A request that may be repeated but is carried out once, identified by its key (header `Idempotency-Key`).
package struct IdempotentRequest: Sendable {
    /// Chosen by the client; unique per actor.
    package let key: IdempotencyKey
    /// The client's name.
    package let actor: String
    /// A digest of the whole request, to detect a key that is reused for another request.
    package let fingerprint: [UInt8]

    package init(key: IdempotencyKey, actor: String, fingerprint: [UInt8]) {
        self.key = key
        self.actor = actor
        self.fingerprint = fingerprint
    }

    /// The answer that was given to the request before; `nil` if it is new.
    ///
    /// - Throws: `Refusal.idempotencyKeyReused` if the key was used for another request.
    package func answer(in group: borrowing WriteGroup) throws(Refusal) -> PastAnswer? {
        guard let past = try group.read({ try $0.answer(to: key, of: actor, at: .now()) }) else { return nil }
        guard past.fingerprint == fingerprint else { throw .idempotencyKeyReused(key, at: past.at) }
        return past
    }

    /// Stores the answer in the transaction of the request's changes. A repeated request gets this answer, which
    /// reports what was written, without waiting for the kernel.
    package func remember(
        status: Int, headers: [String: String], body: [UInt8], in group: inout WriteGroup
    ) throws(Refusal) {
        let answer = PastAnswer(
            actor: actor, key: key, fingerprint: fingerprint, at: .now(), status: status, headers: headers, body: body)
        try group.write { try $0.remember(answer) }
    }
}
