import Foundation
import Glibc

/// A network namespace that is found at a path, like those of `ip netns`. The directory of named ones is shared by the
/// whole host, so the name is random. The namespace is removed with the object.
public final class NamedNamespace {
    /// The value of `networkNamespace` in a device's spec.
    public let location: String
    /// The path of its file.
    public var path: String { location.hasPrefix("/") ? location : "/run/netns/" + location }

    /// A named namespace that does not exist yet.
    public init() {
        location = "tapster-test-\(UInt64.random(in: 0 ... .max))"
    }

    /// A namespace with a file in `directory`, which does not exist yet.
    public init(in directory: String) {
        location = directory + "/ns-\(UInt64.random(in: 0 ... .max))"
    }

    deinit {
        if access(path, F_OK) == 0 { try? remove() }
    }

    /// Creates the namespace.
    public func make() throws {
        guard location.hasPrefix("/") else {
            try run("ip", "netns", "add", location)
            return
        }
        try run("unshare", "--net", "sh", "-c", "touch \(path) && mount --bind /proc/self/ns/net \(path)")
    }

    /// Removes the namespace's name.
    public func remove() throws {
        guard location.hasPrefix("/") else {
            try run("ip", "netns", "del", location)
            return
        }
        try run("umount", path)
        unlink(path)
    }

    /// Its inode number, which its file and all its descriptors share.
    public var inode: UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    @discardableResult
    /// The output of `ip` in the namespace.
    public func ip(_ words: String...) throws -> String { try run(in: path, ["ip"] + words) }

    /// The interface of this name in the namespace; `nil` if none.
    public func interface(_ name: String) throws -> Interface? { try Interface(name, in: path) }
}

extension Daemon {
    private var descriptorDirectory: String { "/proc/\(process?.identifier ?? 0)/fd/" }

    private var descriptors: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: descriptorDirectory)) ?? []
    }

    /// The number of its descriptors while no request is in progress.
    public var idleDescriptors: Int {
        (0..<10).map { _ in
            usleep(2_000)
            return descriptors.count
        }.min() ?? 0
    }

    /// Whether one of its descriptors refers to the namespace.
    public func holds(_ inode: UInt64) -> Bool {
        descriptors.contains { number in
            var status = stat()
            return stat(descriptorDirectory + number, &status) == 0 && UInt64(status.st_ino) == inode
                && (try? FileManager.default.destinationOfSymbolicLink(atPath: descriptorDirectory + number))?
                    .contains("net") == true
        }
    }
}
