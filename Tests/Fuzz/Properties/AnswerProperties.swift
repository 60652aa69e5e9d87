import TapDocument

/// A parsed answer is written so that it parses to an equal answer, which is written to equal bytes. Any other input is
/// refused with the place of the mistake.
func checkAnswer(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let json = try parsed(bytes) else { return }
    try checkAnswer(json, as: DeviceDocument.self)
    try checkAnswer(json, as: DeviceList.self)
    try checkAnswer(json, as: QueueDocument.self)
    try checkAnswer(json, as: ItemList<AssignedQueue>.self)
    try checkAnswer(json, as: LeaseDocument.self)
    try checkAnswer(json, as: PlanDocument.self)
    try checkAnswer(json, as: DriftedDevice.self)
    try checkAnswer(json, as: EventRecord.self)
    try checkAnswer(json, as: RevisionDocument.self)
    try checkAnswer(json, as: UnmanagedDocument.self)
    try checkAnswer(json, as: ProblemDocument.self)
    try checkAnswer(json, as: VersionDocument.self)
    try checkAnswer(json, as: Backup.self)
    try checkAnswer(json, as: ApplyDocument.self)
    try checkAnswer(json, as: ReconcileDocument.self)
    try checkAnswer(json, as: WatchEvent.self)
    try checkAnswer(json, as: LeaseMessage.self)
}

private func checkAnswer<Answer: AnswerDocument>(_ json: JSONValue, as _: Answer.Type) throws(BrokenProperty) {
    let value: Answer
    do throws(InvalidDocument) { value = try Answer(json: json, at: "") } catch {
        try hold(!error.issues.isEmpty, "\(Answer.self) is refused without an issue")
        for issue in error.issues {
            try hold(issue.pointer.isEmpty || issue.pointer.hasPrefix("/"), "invalid pointer: \(issue.pointer)")
        }
        return
    }
    let written = value.bytes
    let again = try? Answer(bytes: written)
    try hold(again?.bytes == written, "\(Answer.self) changes when it is written and parsed: \(json.text)")
}
