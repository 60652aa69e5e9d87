import Foundation
import Glibc

/// A user without any privilege. It has copies of what it runs, since it may be unable to look where they were built.
public struct Stranger {
    /// Its number, and its group's; nobody has a name for them.
    public let identifier = "64242"
    /// A directory of its own.
    public let directory: String
    /// The program.
    public var tapster: String { directory + "/tapster" }

    public init(in parent: String) throws {
        directory = parent + "/stranger"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // By another process: whatever we have open for writing, children of other tests may have for a moment too, and
        // what somebody may write to, nobody can run.
        try run("cp", Daemon.binary, tapster)
        try run("chown", identifier + ":" + identifier, directory)
    }

    /// A program with its arguments, as this user runs it.
    public func command(_ words: [String]) -> [String] {
        [
            "setpriv", "--reuid", identifier, "--regid", identifier, "--clear-groups", "--no-new-privs",
            "--bounding-set", "-all", "--inh-caps", "-all", "--",
        ] + words
    }
}
