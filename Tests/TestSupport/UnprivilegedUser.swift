import Foundation
import Glibc

/// A user without privileges. It has copies of the programs that it runs, because it may have no access to the build
/// folder.
public struct UnprivilegedUser {
    /// Its user and group ID, for which there is no name.
    public let identifier = "64242"
    /// A directory that belongs to it.
    public let directory: String
    /// The path of its copy of the program.
    public var tapster: String { directory + "/tapster" }

    public init(in parent: String) throws {
        directory = parent + "/user"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // Copied by another process: children of other tests may briefly inherit our descriptors, and a file that is
        // open for writing cannot be executed (ETXTBSY).
        try run("cp", Daemon.binary, tapster)
        try run("chown", identifier + ":" + identifier, directory)
    }

    /// The command that runs a program as this user.
    public func command(_ words: [String]) -> [String] {
        [
            "setpriv", "--reuid", identifier, "--regid", identifier, "--clear-groups", "--no-new-privs",
            "--bounding-set", "-all", "--inh-caps", "-all", "--",
        ] + words
    }
}
