public import TapCore

/// Marks where the next page of a list of devices begins: after a name, so that a device that exists throughout is on
/// exactly one page, even if others are created or deleted between two requests. Opaque to clients.
public struct ContinueToken: Hashable, Sendable {
    /// The database's revision at the first page: a watch from it misses no change.
    public let revision: Int
    /// The last name on the previous page.
    public let last: DeviceName

    public init(revision: Int, last: DeviceName) {
        self.revision = revision
        self.last = last
    }

    /// - Throws: `ValidationError` if `text` is not a token from a list.
    public init(_ text: String) throws(ValidationError) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let revision = Int(parts[0]), revision >= 0, String(revision) == parts[0],
            let last = try? DeviceName(String(parts[1]))
        else {
            throw ValidationError("is not a token from this API; start again without it")
        }
        self.init(revision: revision, last: last)
    }

    /// The value of the query parameter `continue`.
    public var text: String { "\(revision).\(last)" }
}
