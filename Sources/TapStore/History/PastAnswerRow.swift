internal import Foundation
internal import GRDB
internal import TapCore
internal import TapDocument

/// Reads and writes rows of the table `idempotency_key`.
enum PastAnswerRow {
    static func insert(_ database: Database, _ answer: PastAnswer) throws {
        let oldest = answer.at.microseconds - Int64(HistoryLimits.answerSecondsMax) * 1_000_000
        try database.cachedStatement(sql: "DELETE FROM idempotency_key WHERE at <= ?").execute(arguments: [oldest])
        try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO idempotency_key (actor, key, fingerprint, at, status, headers, body)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            answer.actor, answer.key.text, Data(answer.fingerprint), answer.at.microseconds, answer.status,
            JSONValue.object(answer.headers.mapValues { .string($0) }).text, Data(answer.body),
        ])
    }

    /// - Throws: `StoreError.tooManyAnswers` if there is none, and `answersMax` are stored already. So the request is
    ///   refused before it has changed anything. Requests that share a transaction may exceed the limit slightly.
    static func fetch(
        _ database: Database, actor: String, key: IdempotencyKey, at time: Timestamp
    ) throws -> PastAnswer? {
        let oldest = time.microseconds - Int64(HistoryLimits.answerSecondsMax) * 1_000_000
        let row = try Row.fetchOne(
            database.cachedStatement(sql: "SELECT * FROM idempotency_key WHERE actor = ? AND key = ? AND at > ?"),
            arguments: [actor, key.text, oldest])
        guard let row else {
            let sql = "SELECT count(*) FROM idempotency_key WHERE at > ?"
            let count = try Int.fetchOne(database.cachedStatement(sql: sql), arguments: [oldest]) ?? 0
            guard count < HistoryLimits.answersMax else { throw StoreError.tooManyAnswers(count: count) }
            return nil
        }
        var headers: [String: String] = [:]
        if case .object(let members) = try JSONValue(parsing: Array((row["headers"] as String).utf8)) {
            for case (let name, .string(let value)) in members { headers[name] = value }
        }
        return PastAnswer(
            actor: actor, key: key, fingerprint: Array(row["fingerprint"] as Data),
            at: Timestamp(microseconds: row["at"]), status: row["status"], headers: headers,
            body: Array(row["body"] as Data))
    }
}
