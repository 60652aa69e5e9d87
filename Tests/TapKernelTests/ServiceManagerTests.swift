import TapSystem
import CLinux
import Glibc
import TapCore
import TestSupport
import Testing

@testable import TapKernel

/// Messages to a service manager, on a real socket.
@Suite struct ServiceManagerTests {
    private static func bind() throws -> (OwnedDescriptor, String) {
        let name = "@tapster-test-\(UInt64.random(in: 0 ... .max))"
        return (try UnixSocket.bind(datagramsAt: name), name)
    }

    private static func message(_ socket: OwnedDescriptor) throws -> ReceivedMessage {
        try DescriptorPassing.receive(
            upTo: 4_096, from: socket.number, withSender: true, flags: Int32(MSG_DONTWAIT))
    }

    private static func text(_ message: ReceivedMessage) -> String { String(decoding: message.bytes, as: UTF8.self) }

    private static func inode(_ number: Int32) -> UInt64? {
        var status = stat()
        return fstat(number, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    @Test func readyAndStoppingAreReported() throws {
        let (socket, name) = try Self.bind()
        let manager = try #require(try ServiceManager(path: name))
        try manager.ready()
        manager.stopping()
        let first = try Self.message(socket)
        #expect(Self.text(first) == "READY=1")
        #expect(first.sender == getpid())
        #expect(Self.text(try Self.message(socket)) == "STOPPING=1")
    }

    @Test func theManagerKeepsDescriptors() throws {
        let (socket, name) = try Self.bind()
        let manager = try #require(try ServiceManager(path: name))
        try manager.keep(socket.number, as: "lease 17/0")
        try manager.forget("lease 17/0")
        let stored = try Self.message(socket)
        #expect(Self.text(stored).split(separator: "\n") == ["FDSTORE=1", "FDPOLL=0", "FDNAME=lease 17/0"])
        #expect(stored.descriptors.map { Self.inode($0.number) } == [Self.inode(socket.number)])
        let removed = try Self.message(socket)
        #expect(Self.text(removed).split(separator: "\n") == ["FDSTOREREMOVE=1", "FDNAME=lease 17/0"])
        #expect(removed.descriptors.isEmpty)
    }

    @Test(arguments: ["a:b", "a\nFDSTOREREMOVE=1", "ä", "\u{7F}", String(repeating: "x", count: 256)])
    func anInvalidNameIsRefused(name: String) throws {
        let (socket, path) = try Self.bind()
        let manager = try #require(try ServiceManager(path: path))
        #expect(throws: Errno.invalid) { try manager.keep(socket.number, as: name) }
        #expect(throws: Errno.invalid) { try manager.forget(name) }
        #expect(throws: Errno.wouldBlock) { try Self.message(socket) }
    }

    @Test func aManagerAtAPathIsFound() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/notify"
            let listener = try run("/usr/bin/python3", "-c", "import socket; socket.socket(1, 2).bind('\(path)')")
            #expect(listener == "")
            // The file exists, but no process listens.
            #expect(throws: Errno(rawValue: ECONNREFUSED)) { _ = try ServiceManager(path: path) }
            #expect(throws: Errno.noEntry) { _ = try ServiceManager(path: path + "2") }
            #expect(throws: Errno.invalid) {
                _ = try ServiceManager(path: "/" + String(repeating: "x", count: 200))
            }
        }
    }

    @Test(arguments: [nil, "", "relative", "vsock:2:1234"])
    func withoutAPathThereIsNoManager(path: String?) throws {
        #expect(try ServiceManager(path: path) == nil)
    }

    /// A manager that does not read does not block the caller forever.
    @Test func aStuckManagerDoesNotBlockTheCaller() throws {
        let (socket, name) = try Self.bind()
        let manager = try #require(try ServiceManager(path: name))
        let start = ContinuousClock.now
        #expect(throws: Errno.wouldBlock) {
            for _ in 0..<100_000 { try manager.keep(socket.number, as: "x") }
        }
        #expect(start.duration(to: .now) < .seconds(20))
        // The messages before it were delivered.
        #expect(try Self.message(socket).descriptors.count == 1)
    }

    @Test func aManagerThatHasEndedIsAnError() throws {
        let manager = try {
            let (socket, name) = try Self.bind()
            return try withExtendedLifetime(socket) { try #require(try ServiceManager(path: name)) }
        }()
        #expect(throws: Errno(rawValue: ECONNREFUSED)) { try manager.ready() }
        manager.stopping()
    }
}

/// Uses descriptor numbers far above those that other tests of this process use.
@Suite(.serialized) struct InheritedDescriptorsTests {
    private static let first: Int32 = {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int32(clamping: limit.rlim_cur) - 64
    }()

    /// Opens `count` ends of pipes at the numbers from `first`, and returns their inodes.
    private static func inherit(_ count: Int32) throws -> [UInt64] {
        try (0..<count).map { position in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0, dup2(ends[0], first + position) == first + position else {
                throw TestFailure("pipe: \(String(cString: strerror(errno)))")
            }
            close(ends[0])
            close(ends[1])
            return try #require(inode(first + position))
        }
    }

    private static func inode(_ number: Int32) -> UInt64? {
        var status = stat()
        return fstat(number, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    private static func take(_ count: String, names: String?, process: String? = nil) -> [(
        name: String, descriptor: OwnedDescriptor
    )] {
        var settings = ["LISTEN_FDS": count, "LISTEN_PID": process ?? String(getpid())]
        settings["LISTEN_FDNAMES"] = names
        return InheritedDescriptors.take(settings, process: getpid(), first: first)
    }

    @Test func descriptorsHaveTheirNames() throws {
        let inodes = try Self.inherit(4)
        let taken = Self.take("4", names: "web0/0::web0/0:x y")
        #expect(taken.map(\.name) == ["web0/0", "", "web0/0", "x y"])
        #expect(taken.map { Self.inode($0.descriptor.number) } == inodes)
        #expect(taken.allSatisfy { fcntl($0.descriptor.number, F_GETFD) & FD_CLOEXEC != 0 })
    }

    @Test(arguments: [nil, "a", "a:b:c:d:e"])
    func namesMayBeTooFewOrTooMany(names: String?) throws {
        let inodes = try Self.inherit(2)
        let taken = Self.take("2", names: names)
        #expect(taken.map { Self.inode($0.descriptor.number) } == inodes)
        let expected = (names ?? "").split(separator: ":").map(String.init) + ["unknown", "unknown"]
        #expect(taken.map(\.name) == Array(expected.prefix(2)))
    }

    @Test(arguments: ["", "0", "-1", "x", "1048577", "99999999999999999999", "2147483647", "1.0", " 2"])
    func anInvalidCountTakesNoDescriptors(count: String) throws {
        let inodes = try Self.inherit(2)
        defer { for position in 0..<2 { close(Self.first + Int32(position)) } }
        #expect(Self.take(count, names: "a:b").isEmpty)
        #expect([Self.inode(Self.first), Self.inode(Self.first + 1)] == inodes)
        #expect(fcntl(Self.first, F_GETFD) & FD_CLOEXEC == 0)
    }

    @Test(arguments: ["1", "0", "-1", "", "x"])
    func descriptorsOfAnotherProcessAreLeftAlone(process: String) throws {
        let inodes = try Self.inherit(1)
        defer { close(Self.first) }
        #expect(Self.take("1", names: "a", process: process).isEmpty)
        #expect(Self.inode(Self.first) == inodes[0])
    }

    /// A descriptor after a gap is not from the manager.
    @Test func closedNumbersEndTheList() throws {
        let inodes = try Self.inherit(3)
        close(Self.first + 1)
        let taken = Self.take("1048576", names: "a:b:c")
        #expect(taken.map(\.name) == ["a"])
        #expect(Self.inode(Self.first + 2) == inodes[2])
        #expect(fcntl(Self.first + 2, F_GETFD) & FD_CLOEXEC == 0)
        close(Self.first + 2)
    }

    @Test func descriptorsAreClosedWithTheList() throws {
        _ = try Self.inherit(1)
        #expect(Self.take("1", names: "a").count == 1)
        #expect(Self.inode(Self.first) == nil)
    }
}
