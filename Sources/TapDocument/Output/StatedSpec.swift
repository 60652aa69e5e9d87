public import TapCore

/// The spec of a device in an answer. A newer daemon may state what this version does not know.
public enum StatedSpec: Hashable, Sendable {
    /// Fields that this version does not know are left out: who sends a device back sends a merge patch.
    case known(DeviceSpec)
    /// A field has a value that this version does not know: the spec as the daemon wrote it, and which fields they are.
    case unknown(JSONValue, InvalidDocument)

    /// `nil` for a spec that this version does not know.
    public var known: DeviceSpec? { if case .known(let spec) = self { spec } else { nil } }

    func encode(_ key: String, to json: inout some JSONSink) {
        switch self {
        case .known(let spec): json.object(key) { spec.encode(to: &$0) }
        case .unknown(let document, _): json.member(key, document)
        }
    }
}

extension StatedSpec: JSONReadable {
    /// - Throws: `InvalidDocument` for anything but an object.
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .object = json else { throw InvalidDocument(json, at: pointer, wanted: "an object") }
        let reading = SpecReading(json, accounts: AnyAccount(), isOpen: true)
        self = reading.spec.map { .known($0) } ?? .unknown(json, InvalidDocument(reading.issues))
    }
}
