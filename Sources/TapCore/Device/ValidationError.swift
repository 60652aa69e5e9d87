/// Why a text or a number is not valid: what was found, and what would be accepted.
public struct ValidationError: Error, Hashable, Sendable {
    /// One sentence for people, without a final full stop.
    public let detail: String

    public init(_ detail: String) {
        self.detail = detail
    }
}
