public import TapCore

/// The spec of a device in an answer, possibly with fields or values that only a newer daemon knows.
public enum AnsweredSpec: Hashable, Sendable {
    /// Unknown fields are omitted: a client must change the device by a merge patch, which keeps them.
    case known(DeviceSpec)
    /// A field has an unknown value: the spec as the daemon wrote it, and the fields concerned.
    case unknown(JSONValue, InvalidDocument)

    /// `nil` if the spec has an unknown value.
    public var known: DeviceSpec? { if case .known(let spec) = self { spec } else { nil } }

    func encode(_ key: String, to json: inout some JSONSink) {
        switch self {
        case .known(let spec): json.object(key) { spec.encode(to: &$0) }
        case .unknown(let document, _): json.member(key, document)
        }
    }
}

extension AnsweredSpec: JSONReadable {
    /// - Throws: `InvalidDocument` if `json` is not an object.
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        guard case .object = json else { throw InvalidDocument(json, at: pointer, wanted: "an object") }
        let reading = SpecReading(json, accounts: AnyAccount(), isOpen: true)
        self = reading.spec.map { .known($0) } ?? .unknown(json, InvalidDocument(reading.issues))
    }
}
