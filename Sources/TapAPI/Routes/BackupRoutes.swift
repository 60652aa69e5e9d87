internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// `/v1/backup`: copies the database into its directory.
struct BackupRoutes: Sendable {
    let engine: Engine
    let writes: DeviceWrites

    var routes: [Route] { [Route("POST", "/v1/backup", .administer, handler: backUp)] }

    @Sendable private func backUp(_ call: Call) throws(Problem) {
        // Starts in the writer, which knows whether the request is a repetition (`Idempotency-Key`).
        try writes.enqueue(call) { _, _ in
            {
                do throws(Problem) {
                    try call.read(on: engine) { () throws(StoreError) in
                        answer(call, try engine.backUp())
                    }
                } catch { call.fail(error) }
            }
        }
    }

    private func answer(_ call: Call, _ backup: Backup) {
        let response = Call.response(json: backup.document, status: 201)
        do throws(Problem) {
            try writes.enqueue(call) { (group, idempotent) throws(Refusal) in
                group.record(
                    EventRecord(
                        at: backup.createdAt, device: nil, reason: .backedUp,
                        message: "the database was copied to \(backup.path)", author: call.author))
                try idempotent?.remember(response, in: &group)
                return { call.answer(response) }
            }
        } catch { call.fail(error) }
    }
}
