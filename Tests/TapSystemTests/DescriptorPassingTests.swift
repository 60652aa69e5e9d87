import CLinux
import Glibc
import TapSystem
import TestSupport
import Testing

/// Descriptors over a real pair of sockets.
@Suite struct DescriptorPassingTests {
    /// Both ends of a Unix socket, closed with the object.
    private final class Pair {
        let ends: [Int32]

        init(_ type: __socket_type) throws {
            var ends: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
                throw TestFailure("socketpair: \(String(cString: strerror(errno)))")
            }
            self.ends = ends
        }

        deinit { for end in ends { close(end) } }
    }

    /// One end of a pipe, whose inode number is not reused soon, unlike that of a deleted file.
    private static func file() throws -> OwnedDescriptor {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestFailure("pipe: \(String(cString: strerror(errno)))") }
        close(ends[1])
        return OwnedDescriptor(owning: ends[0])
    }

    private static func status(_ number: Int32) -> stat? {
        var status = stat()
        return fstat(number, &status) == 0 ? status : nil
    }

    /// Whether any descriptor of this process refers to the file. Other tests in the process open descriptors too.
    private static func isOpen(_ file: stat) -> Bool {
        (0..<4_096).contains { number in
            status(number).map { $0.st_ino == file.st_ino && $0.st_dev == file.st_dev } ?? false
        }
    }

    @Test(arguments: [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET], [0, 1, 250])
    func descriptorsArriveInOrder(type: __socket_type, count: Int) throws {
        let pair = try Pair(type)
        let files = try (0..<count).map { _ in try Self.file() }
        let line = Array("{}\n".utf8)
        try DescriptorPassing.send(line, with: files.map(\.number), over: pair.ends[0])
        let message = try DescriptorPassing.receive(upTo: 100, from: pair.ends[1])
        #expect(message.bytes == line)
        #expect(message.sender == nil)
        #expect(message.descriptors.count == count)
        for (sent, received) in zip(files, message.descriptors) {
            #expect(sent.number != received.number)
            #expect(Self.status(sent.number)?.st_ino == Self.status(received.number)?.st_ino)
            #expect(fcntl(received.number, F_GETFD) & FD_CLOEXEC != 0)
        }
    }

    @Test func receivedDescriptorsAreClosedWithTheMessage() throws {
        let pair = try Pair(SOCK_STREAM)
        let status = try #require(
            try {
                let file = try Self.file()
                try DescriptorPassing.send([1], with: [file.number], over: pair.ends[0])
                let message = try DescriptorPassing.receive(upTo: 100, from: pair.ends[1])
                return Self.status(message.descriptors[0].number)
            }())
        #expect(!Self.isOpen(status))
    }

    @Test func aTakenDescriptorStaysOpen() throws {
        let number = try Self.file().take()
        #expect(Self.status(number) != nil)
        close(number)
        let file = try Self.file()
        let taken = file.take()
        defer { close(taken) }
        #expect(file.number == -1)
        #expect(file.take() == -1)
    }

    @Test func tooManyDescriptorsAreNotSent() throws {
        let pair = try Pair(SOCK_STREAM)
        #expect(throws: Errno.invalid) {
            try DescriptorPassing.send([1], with: Array(repeating: pair.ends[0], count: 251), over: pair.ends[0])
        }
    }

    @Test(arguments: [SOCK_STREAM, SOCK_DGRAM])
    func descriptorsBeyondTheLimitAreClosed(type: __socket_type) throws {
        let pair = try Pair(type)
        let statuses = try {
            let files = try (0..<5).map { _ in try Self.file() }
            try DescriptorPassing.send([1], with: files.map(\.number), over: pair.ends[0])
            return files.compactMap { Self.status($0.number) }
        }()
        #expect(throws: Errno(rawValue: EMSGSIZE)) {
            try DescriptorPassing.receive(upTo: 100, descriptorsUpTo: 3, from: pair.ends[1])
        }
        #expect(statuses.count == 5)
        #expect(!statuses.contains(where: Self.isOpen))
    }

    @Test func aDatagramThatIsTooLongIsRefused() throws {
        let pair = try Pair(SOCK_DGRAM)
        let file = try Self.file()
        try DescriptorPassing.send([1, 2, 3], with: [file.number], over: pair.ends[0])
        #expect(throws: Errno(rawValue: EMSGSIZE)) { try DescriptorPassing.receive(upTo: 2, from: pair.ends[1]) }
    }

    /// A stream returns a message's descriptors with its first bytes, and never those of two messages together.
    @Test func aStreamKeepsDescriptorsApart() throws {
        let pair = try Pair(SOCK_STREAM)
        let files = try (0..<3).map { _ in try Self.file() }
        try DescriptorPassing.send(Array("head".utf8), with: [], over: pair.ends[0])
        try DescriptorPassing.send(Array("one".utf8), with: [files[0].number, files[1].number], over: pair.ends[0])
        try DescriptorPassing.send(Array("two".utf8), with: [files[2].number], over: pair.ends[0])
        let first = try DescriptorPassing.receive(upTo: 5, from: pair.ends[1])
        #expect(String(decoding: first.bytes, as: UTF8.self) == "heado")
        #expect(first.descriptors.count == 2)
        let second = try DescriptorPassing.receive(upTo: 100, from: pair.ends[1])
        #expect(String(decoding: second.bytes, as: UTF8.self) == "netwo")
        #expect(second.descriptors.count == 1)
    }

    @Test func theSenderIsReported() throws {
        let pair = try Pair(SOCK_DGRAM)
        var on: Int32 = 1
        setsockopt(pair.ends[1], SOL_SOCKET, SO_PASSCRED, &on, socklen_t(MemoryLayout<Int32>.size))
        let files = try (0..<250).map { _ in try Self.file() }
        try DescriptorPassing.send([1], with: files.map(\.number), over: pair.ends[0])
        let message = try DescriptorPassing.receive(upTo: 100, from: pair.ends[1], withSender: true)
        #expect(message.sender == getpid())
        #expect(message.descriptors.count == 250)
    }

    @Test func theEndOfAStreamIsEmpty() throws {
        let pair = try Pair(SOCK_STREAM)
        shutdown(pair.ends[0], Int32(SHUT_WR))
        let message = try DescriptorPassing.receive(upTo: 100, from: pair.ends[1])
        #expect(message.bytes.isEmpty && message.descriptors.isEmpty)
        // The other side does not read any more: an error, but no SIGPIPE.
        shutdown(pair.ends[0], Int32(SHUT_RD))
        #expect(throws: Errno(rawValue: EPIPE)) {
            try DescriptorPassing.send([1], with: [], over: pair.ends[1])
        }
    }

    @Test func aFullSendBufferIsAnError() throws {
        let pair = try Pair(SOCK_STREAM)
        let file = try Self.file()
        let much = [UInt8](repeating: 7, count: 4 << 20)
        #expect(throws: Errno(rawValue: EMSGSIZE)) {
            try DescriptorPassing.send(
                much, with: [file.number], over: pair.ends[0], flags: Int32(MSG_DONTWAIT))
        }
        #expect(throws: Errno.wouldBlock) {
            try DescriptorPassing.send(
                [1], with: [file.number], over: pair.ends[0], flags: Int32(MSG_DONTWAIT))
        }
    }

    @Test func receivingWithoutAMessageFailsIfNonBlocking() throws {
        let pair = try Pair(SOCK_STREAM)
        #expect(throws: Errno.wouldBlock) {
            try DescriptorPassing.receive(upTo: 1, from: pair.ends[0], flags: Int32(MSG_DONTWAIT))
        }
    }
}
