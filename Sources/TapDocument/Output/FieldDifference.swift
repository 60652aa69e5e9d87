public import TapCore

/// A field of a device, what was wanted and what was found, as JSON.
public struct FieldDifference: Hashable, Sendable {
    /// The raw value of a `DeviceField`; of another version, perhaps another word.
    public let field: String
    public let wanted: JSONValue
    public let observed: JSONValue

    public init(field: String, wanted: JSONValue, observed: JSONValue) {
        self.field = field
        self.wanted = wanted
        self.observed = observed
    }

    public init(_ difference: Difference) {
        self.init(
            field: difference.field.rawValue, wanted: difference.wanted.document,
            observed: difference.observed.document)
    }
}

/// A difference that came about after the spec had been reached.
public struct DriftDocument: Hashable, Sendable {
    public var difference: FieldDifference
    public var since: Timestamp

    public init(_ drift: Drift) {
        difference = FieldDifference(drift.difference)
        since = drift.since
    }
}

extension DriftDocument: AnswerDocument {
    public var document: JSONValue {
        [
            "field": .string(difference.field), "wanted": difference.wanted, "observed": difference.observed,
            "since": .string(since.text),
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        difference = FieldDifference(
            field: try reader.value("field"), wanted: reader.json("wanted"), observed: reader.json("observed"))
        since = try reader.value("since")
    }
}

extension FieldValue {
    /// A field that the kernel does not have is null, as one without a value.
    public var document: JSONValue {
        switch self {
        case .nothing, .unsupported: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .text(let value): .string(value)
        case .words(let value): .array(value.map { .string($0) })
        }
    }
}

extension LinkChange {
    /// Each attribute's value by its name.
    public var members: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        for attribute in self {
            let (field, value) = attribute.setting
            members[field?.key ?? "promoteSecondaries"] = value.document
        }
        return members
    }
}
