/// A field's value in the words of the API.
public enum FieldValue: Hashable, Sendable {
    case nothing
    /// The kernel does not have the field.
    case unsupported
    case bool(Bool)
    case integer(Int)
    case text(String)
    case words([String])
}
