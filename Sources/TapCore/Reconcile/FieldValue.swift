/// A field's value in the terms of the API.
public enum FieldValue: Hashable, Sendable {
    /// Unset or unknown.
    case nothing
    /// The running kernel does not have the field.
    case unsupported
    case bool(Bool)
    case integer(Int)
    case text(String)
    case words([String])
}
