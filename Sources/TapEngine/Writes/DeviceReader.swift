internal import HashTreeCollections
package import TapCore
package import TapDocument
internal import TapStore

/// Parses device documents, and checks them against this host's kernel and accounts.
package struct DeviceReader: Sendable {
    let accounts: any Accounts
    let features: KernelFeatures
    let processors: any ProcessorSource

    /// Parses a device.
    ///
    /// - Parameters:
    ///   - document: The JSON document.
    ///   - name: The name in the request's path, if any, which the document's name must equal.
    ///   - snapshot: The devices whose fixed fields a document may omit; `nil` if they get their defaults.
    /// - Returns: The device.
    /// - Throws: `Refusal.invalidDocument` with all mistakes.
    package func input(
        _ document: JSONValue, name: DeviceName? = nil, keeping snapshot: Snapshot? = nil
    ) throws(Refusal) -> DeviceInput {
        let reading = issues(document, name: name, keeping: snapshot)
        guard let input = reading.input else { throw .invalidDocument(InvalidDocument(reading.issues).issues) }
        return input
    }

    /// Parses a device. Returns it, or all mistakes: errors in the document, and what this kernel does not support.
    package func issues(
        _ document: JSONValue, name: DeviceName? = nil, keeping snapshot: Snapshot? = nil
    ) -> (input: DeviceInput?, issues: [FieldIssue]) {
        do throws(InvalidDocument) {
            let input = try DeviceInput(document, accounts: accounts, pathName: name) { name in
                snapshot?.devices[name]?.record.spec
            }
            let refusals = features.refusals(of: input.spec) + input.spec.impossibleNames
            guard refusals.isEmpty else {
                return (nil, refusals.map { FieldIssue(pointer: $0.field.pointer, detail: $0.detail) })
            }
            return (input, [])
        } catch {
            return (nil, error.issues)
        }
    }

    /// Checks the CPUs of an assignment.
    ///
    /// - Throws: `Refusal.invalidDocument` if the host does not have them, or they are offline.
    package func check(_ cpus: [CPUNumber]) throws(Refusal) {
        guard !cpus.isEmpty, let online = processors.online() else { return }
        let issues = cpus.enumerated().filter { !online.contains($0.element.value) }.map { place, cpu in
            FieldIssue(
                pointer: "/cpus/\(place)",
                detail: "CPU \(cpu.value) is not online on this host; online are \(online.sorted().rangeList)")
        }
        if !issues.isEmpty { throw .invalidDocument(issues) }
    }
}
