package import TapCore
package import TapDocument

/// Reads documents as devices, as far as this host's kernel and accounts allow them.
package struct DeviceReader: Sendable {
    let accounts: any Accounts
    let features: KernelFeatures

    /// - Throws: `Refusal.invalidDocument` with every mistake.
    package func input(_ document: JSONValue, name: DeviceName? = nil) throws(Refusal) -> DeviceInput {
        let reading = issues(document, name: name)
        guard let input = reading.input else { throw .invalidDocument(InvalidDocument(reading.issues).issues) }
        return input
    }

    /// A device, or every mistake: what its document says wrong, and what this kernel cannot do.
    package func issues(_ document: JSONValue, name: DeviceName? = nil) -> (input: DeviceInput?, issues: [FieldIssue]) {
        do throws(InvalidDocument) {
            let input = try DeviceInput(document, accounts: accounts, pathName: name)
            let refusals = features.refusals(of: input.spec)
            guard refusals.isEmpty else {
                return (nil, refusals.map { FieldIssue(pointer: $0.field.pointer, detail: $0.detail) })
            }
            return (input, [])
        } catch {
            return (nil, error.issues)
        }
    }
}
