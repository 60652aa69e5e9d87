import Foundation
import Glibc

/// A network namespace that is found at a path, as `ip netns` makes them. The directory of the named ones belongs to
/// the whole host, so a name is made up that nobody else has; and with the object it is gone.
public final class NamedNamespace {
    /// As a device's spec states it.
    public let location: String
    public var path: String { location.hasPrefix("/") ? location : "/run/netns/" + location }

    /// One that is missing yet.
    public init() {
        location = "tapster-test-\(UInt64.random(in: 0 ... .max))"
    }

    /// One that is missing yet, at a file of its own.
    public init(in directory: String) {
        location = directory + "/ns-\(UInt64.random(in: 0 ... .max))"
    }

    deinit {
        if access(path, F_OK) == 0 { try? remove() }
    }

    public func make() throws {
        guard location.hasPrefix("/") else {
            try run("ip", "netns", "add", location)
            return
        }
        try run("unshare", "--net", "sh", "-c", "touch \(path) && mount --bind /proc/self/ns/net \(path)")
    }

    public func remove() throws {
        guard location.hasPrefix("/") else {
            try run("ip", "netns", "del", location)
            return
        }
        try run("umount", path)
        unlink(path)
    }

    /// Its number, which its file and all descriptors of it share.
    public var inode: UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    @discardableResult
    public func ip(_ words: String...) throws -> String { try run(in: path, ["ip"] + words) }

    public func interface(_ name: String) throws -> Interface? { try Interface(name, in: path) }
}

extension Daemon {
    private var descriptorDirectory: String { "/proc/\(process?.identifier ?? 0)/fd/" }

    private var descriptors: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: descriptorDirectory)) ?? []
    }

    /// How many descriptors it has, when no request is under way.
    public var idleDescriptors: Int {
        (0..<10).map { _ in
            usleep(2_000)
            return descriptors.count
        }.min() ?? 0
    }

    /// Whether one of its descriptors is the namespace.
    public func holds(_ inode: UInt64) -> Bool {
        descriptors.contains { number in
            var status = stat()
            return stat(descriptorDirectory + number, &status) == 0 && UInt64(status.st_ino) == inode
                && (try? FileManager.default.destinationOfSymbolicLink(atPath: descriptorDirectory + number))?
                    .contains("net") == true
        }
    }
}
