public import TapCore

/// Where a list of devices goes on: behind a name, so that whatever comes and goes between two pages, a device that is
/// there all the time is on exactly one. What it looks like is not for its reader to know.
public struct ContinueToken: Hashable, Sendable {
    /// The database's revision when the first page was read: whoever watches from it on misses nothing.
    public let revision: Int
    /// The last name of the page before.
    public let last: DeviceName

    public init(revision: Int, last: DeviceName) {
        self.revision = revision
        self.last = last
    }

    /// - Throws: `ValidationError` for what no list gave.
    public init(_ text: String) throws(ValidationError) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let revision = Int(parts[0]), revision >= 0, String(revision) == parts[0],
            let last = try? DeviceName(String(parts[1]))
        else {
            throw ValidationError("is no token that this API gave; begin again without it")
        }
        self.init(revision: revision, last: last)
    }

    public var text: String { "\(revision).\(last)" }
}
