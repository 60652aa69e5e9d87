import TapCore

@testable import TapDocument

/// A fake in which half of the accounts exist.
private struct SomeAccounts: Accounts {
    func userNumber(_ principal: Principal) -> UInt32? { number(principal) }
    func groupNumber(_ principal: Principal) -> UInt32? { number(principal) }
    func userName(_ number: UInt32) -> String? { nil }

    private func number(_ principal: Principal) -> UInt32? {
        switch principal {
        case .number(let number): number
        case .name(let name): name.utf8.count.isMultiple(of: 2) ? 1_000 : nil
        }
    }
}

/// A parsed device is written as a document that parses to an equal device. For any other input, each mistake has a
/// short text and a valid pointer.
func checkDevice(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let document = try parsed(bytes) else { return }
    try checkQueueInputs(document)
    for pathName in [nil, try? DeviceName("web0")] {
        guard
            let device = try understood({ () throws(InvalidDocument) in
                try DeviceInput(document, accounts: SomeAccounts(), pathName: pathName)
            })
        else { continue }
        try hold(pathName == nil || device.name == pathName, "its name differs from the path's")
        let shown = device.document
        guard let again = try? DeviceInput(shown, accounts: SomeAccounts()) else {
            throw BrokenProperty(description: "its document is refused: \(shown.text)")
        }
        try hold(
            again.name == device.name && again.labels == device.labels && again.spec == device.spec,
            "its document parses to another device: \(shown.text)")
        try hold(again.document.bytes == shown.bytes, "its document changes when it is parsed: \(shown.text)")
        try hold(
            (try? DeviceSpec(stored: device.spec.document)) == device.spec, "its stored spec differs: \(shown.text)")
        try hold(
            (try? JSONValue(parsing: Array(device.spec.text.utf8))) == device.spec.document
                && (try? JSONValue(parsing: Array(device.labels.text.utf8))) == device.labels.document,
            "its fast encoding differs: \(device.spec.text) \(device.labels.text)")
        try hold(
            (try? Labels(stored: device.labels.document)) == device.labels, "its stored labels differ: \(shown.text)")
    }
}

/// A merge patch equals RFC 7396's algorithm; it is idempotent, and an empty patch changes no field.
///
/// The input is a JSON array of a document and a patch. The patch of a device is also checked against the rules of
/// devices.
func checkPatch(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let pair = try parsed(bytes), case .array(let parts) = pair, parts.count == 2 else { return }
    let (document, patch) = (parts[0], parts[1])
    let once = document.merging(patch)
    try hold(once.merging(patch) == once, "applied twice, it has another result: \(once.text)")
    if case .object = document {
        try hold(document.merging([:]) == document, "an empty patch has an effect")
    }
    try hold(once == reference(document, patch), "RFC 7396 requires \(reference(document, patch).text)")
    let unknown = DeviceInput.unknownFields(inPatch: patch)
    try check(unknown)
    let isDevice = (try? DeviceInput(document, accounts: SomeAccounts())) != nil
    if isDevice, unknown.isEmpty, case .failure(let invalid) = read(once) {
        // A patched device may be invalid, but it must not have unknown fields.
        try hold(
            !invalid.issues.contains { $0.detail.hasPrefix("is not a field") },
            "it has an unknown field: \(once.text)")
    }
}

/// The pseudocode of RFC 7396, section 2, line by line.
private func reference(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
    guard case .object(let changes) = patch else { return patch }
    var result: [String: JSONValue] = if case .object(let members) = target { members } else { [:] }
    for (name, value) in changes {
        if case .null = value {
            if result.keys.contains(name) { result.removeValue(forKey: name) }
        } else {
            result[name] = reference(result[name] ?? .null, value)
        }
    }
    return .object(result)
}

private func read(_ document: JSONValue) -> Result<DeviceInput, InvalidDocument> {
    do throws(InvalidDocument) {
        return .success(try DeviceInput(document, accounts: SomeAccounts()))
    } catch {
        return .failure(error)
    }
}

private func checkQueueInputs(_ document: JSONValue) throws(BrokenProperty) {
    if let assignment = try understood({ () throws(InvalidDocument) in try AssignmentInput(document) }) {
        try hold(
            zip(assignment.cpus, assignment.cpus.dropFirst()).allSatisfy { $0 < $1 },
            "the CPUs are not sorted, each once")
    }
    _ = try understood { () throws(InvalidDocument) in try FreeQueuesInput(document) }
    _ = try understood { () throws(InvalidDocument) in try QueuePatch(document) }
}

/// The parsed value; `nil` if it is invalid, after checking the mistakes.
private func understood<Value>(_ read: () throws(InvalidDocument) -> Value) throws(BrokenProperty) -> Value? {
    do throws(InvalidDocument) {
        return try read()
    } catch {
        try hold(!error.issues.isEmpty, "it is refused without an issue")
        try check(error.issues)
        return nil
    }
}

private func check(_ issues: [FieldIssue]) throws(BrokenProperty) {
    try hold(issues.count <= InvalidDocument.issuesMax, "\(issues.count) mistakes in one answer")
    for issue in issues {
        try hold(!issue.detail.isEmpty && issue.detail.utf8.count <= 1_024, "a long detail: \(issue.detail)")
        try hold(issue.pointer.utf8.count <= 512, "a long pointer: \(issue.pointer)")
        // RFC 6901, section 3.
        let bytes = Array(issue.pointer.utf8)
        try hold(bytes.isEmpty || bytes[0] == UInt8(ascii: "/"), "an invalid pointer: \(issue.pointer)")
        for (place, byte) in bytes.enumerated() where byte == UInt8(ascii: "~") {
            let next = place + 1 < bytes.count ? bytes[place + 1] : 0
            try hold(next == UInt8(ascii: "0") || next == UInt8(ascii: "1"), "an invalid escape: \(issue.pointer)")
        }
    }
}
