public import TapCore

/// A field whose observed value differs from the wanted value, as JSON.
public struct FieldDifference: Hashable, Sendable {
    /// The raw value of a `DeviceField`; another version may have another value.
    public let field: String
    /// The value in the spec.
    public let wanted: JSONValue
    /// The value in the kernel; null if there is none.
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

/// Drift: a difference that arose after the kernel had matched the spec.
public struct DriftDocument: Hashable, Sendable {
    /// Field, wanted and observed value.
    public var difference: FieldDifference
    /// When it was noticed.
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
    /// The value as JSON; null if there is none, or if the kernel does not support the field.
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
    /// The values of the attributes, by name.
    public var members: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        for attribute in self {
            let (field, value) = attribute.setting
            members[field?.key ?? "promoteSecondaries"] = value.document
        }
        return members
    }
}
