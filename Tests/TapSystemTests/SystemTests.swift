import Foundation
import Glibc
import TapSystem
import TestSupport
import Testing

@Suite struct ErrnoTests {
    /// Metric labels have had these names since the first version.
    @Test(
        arguments: [
            1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 11: "EAGAIN",
            12: "ENOMEM",
            13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 19: "ENODEV", 20: "ENOTDIR", 22: "EINVAL",
            23: "ENFILE",
            24: "EMFILE", 25: "ENOTTY", 28: "ENOSPC", 30: "EROFS", 32: "EPIPE", 34: "ERANGE", 40: "ELOOP", 54: "EXFULL",
            74: "EBADMSG", 75: "EOVERFLOW", 77: "EBADFD", 90: "EMSGSIZE", 95: "EOPNOTSUPP", 99: "EADDRNOTAVAIL",
            105: "ENOBUFS", 109: "ETOOMANYREFS", 110: "ETIMEDOUT", 111: "ECONNREFUSED",
        ] as [Int32: String])
    func eachNumberHasItsSymbol(number: Int32, symbol: String) {
        #expect("\(Errno(rawValue: number))" == symbol)
    }

    @Test func anUnknownNumberIsShown() {
        #expect("\(Errno(rawValue: 4_242))" == "errno 4242")
        #expect(Errno.busy.meaning == "Device or resource busy")
    }
}

@Suite struct SystemCallTests {
    @Test func aCallIsRepeatedAfterASignal() throws {
        var calls = 0
        let result = try systemCall { () -> Int32 in
            calls += 1
            guard calls < 3 else { return 7 }
            errno = EINTR
            return -1
        }
        #expect(result == 7 && calls == 3)
        #expect(throws: Errno.badDescriptor) { try systemCall { fsync(-1) } }
    }
}

@Suite struct NetworkAddressTests {
    @Test(arguments: ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:0", "[::]:65535"])
    func descriptionsAreParsedBack(text: String) throws {
        #expect(NetworkAddress(text)?.description == text)
    }

    @Test(arguments: [
        "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "localhost:80", ":80", "a.b:1", "::1:80",
        "[127.0.0.1]:80", "[::1:80", "127.0.0.1:+1", "127.1:80", "[fe80::1%lo]:80",
    ])
    func otherTextsAreRejected(text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test func loopbackAddressesAreRecognized() throws {
        let loopback = try ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"].map { try #require(NetworkAddress($0)) }
        let others = try ["128.0.0.1:1", "0.0.0.0:1", "[::]:1", "[::ffff:127.0.0.1]:1", "[fe80::1]:1"].map {
            try #require(NetworkAddress($0))
        }
        for address in loopback { #expect(address.isLoopback, "\(address)") }
        for address in others { #expect(!address.isLoopback, "\(address)") }
    }

    @Test func aUnixSocketsPathHasALimit() {
        #expect(UnixSocketPath(String(repeating: "a", count: 107)) != nil)
        #expect(UnixSocketPath(String(repeating: "a", count: 108)) == nil)
        #expect(UnixSocketPath("") == nil && UnixSocketPath("a\0b") == nil)
    }
}

@Suite struct FileTests {
    @Test func writtenBytesAreRead() throws {
        try withTemporaryDirectory { directory in
            let file = try FileDescriptor(opening: directory + "/f", flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o640)
            try file.write(Array("hello".utf8), at: 3)
            #expect(try file.read(upTo: 100, at: 0) == [0, 0, 0] + Array("hello".utf8))
            #expect(try file.read(upTo: 100, at: 8) == [])
            let status = try file.status()
            #expect(status.bytes == 8 && status.isRegularFile && !status.isSocket)
            #expect(try FileStatus(path: directory + "/f") == status)
            #expect(throws: Errno.exists) {
                _ = try FileDescriptor(opening: directory + "/f", flags: O_RDWR | O_CREAT | O_EXCL)
            }
            #expect(throws: Errno.noEntry) { _ = try FileDescriptor(opening: directory + "/g", flags: O_RDONLY) }
        }
    }

    @Test func oneOpenFileHasTheLock() throws {
        try withTemporaryDirectory { directory in
            let first = try FileDescriptor(opening: directory + "/l", flags: O_RDWR | O_CREAT, mode: 0o600)
            let second = try FileDescriptor(opening: directory + "/l", flags: O_RDWR)
            try first.lock(waits: false)
            #expect(throws: Errno.wouldBlock) { try second.lock(waits: false) }
        }
    }

    @Test func aFullDeviceIsReported() throws {
        let file = try FileDescriptor(opening: "/dev/full", flags: O_WRONLY)
        #expect(throws: Errno.noSpace) { try file.write([1], at: 0) }
    }
}

@Suite struct ThreadTests {
    @Test func aThreadHasItsName() throws {
        let name = DispatchQueue(label: "name")
        nonisolated(unsafe) var found = ""
        let done = DispatchSemaphore(value: 0)
        try NamedThread.start("tapster-test-of-a-long-name") {
            let text = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
            name.sync { found = text ?? "" }
            done.signal()
        }
        done.wait()
        #expect(name.sync { found } == "tapster-test-of\n")
    }

    @Test func aSerialThreadProcessesAllItemsInOrder() throws {
        let seen = DispatchQueue(label: "seen")
        nonisolated(unsafe) var items: [Int] = []
        let thread = SerialThread<Int>("tapster-test", waitingMax: 3) { taken in seen.sync { items += taken } }
        for item in 1...3 { #expect(thread.add(item)) }
        #expect(!thread.add(4), "more items than allowed")
        try thread.start()
        thread.stop()
        #expect(seen.sync { items } == [1, 2, 3])
        #expect(!thread.add(5), "after the stop")
    }

    @Test func stoppingAnUnstartedThreadReturns() {
        let thread = SerialThread<Int>("tapster-test", waitingMax: 3) { _ in }
        #expect(thread.add(1))
        thread.stop()
    }

    @Test func aTimerFiresAtTheLastTimeSet() throws {
        let count = DispatchQueue(label: "count")
        nonisolated(unsafe) var calls = 0
        let timer = DeadlineTimer()
        timer.onTime { count.sync { calls += 1 } }
        timer.schedule(after: .seconds(3_600))
        timer.schedule(at: .now + .milliseconds(20))
        try eventually("the timer fires") { count.sync { calls } == 1 }
        timer.schedule(after: .milliseconds(20))
        timer.end()
        usleep(60_000)
        #expect(count.sync { calls } == 1, "an ended timer does not fire")
    }

    @Test func durationsAreRoundedDownAndDeadlinesUp() {
        #expect(Duration.microseconds(1_999).milliseconds == 1)
        #expect((ContinuousClock.now - .seconds(1)).millisecondsLeft == 0)
        #expect((1...2).contains((ContinuousClock.now + .microseconds(1_500)).millisecondsLeft))
    }
}

@Suite struct ProcessNameTests {
    @Test func theNameIsThatOfProc() throws {
        let name = try String(contentsOfFile: "/proc/self/comm", encoding: .utf8)
        #expect(ProcessName.read(getpid()).map { $0 + "\n" } == name)
        #expect(ProcessName.read(0) == nil)
        #expect(ProcessName.read(-1) == nil)
        #expect(ProcessName.read(.max) == nil)
    }

    @Test(arguments: [
        ("qemu-system-x86", "qemu-system-x86"), ("a b:é(中)", "a b:é(中)"), ("\u{1B}[31m", "?[31m"),
        ("x\ny\r\tz\u{7F}\u{9B}", "x?y??z??"), ("\u{202E}\u{2066}\u{200B}\u{FEFF}", "????"),
        ("\u{2028}\u{2029}\u{E000}\u{FFFFF}", "????"),
    ])
    func whatATerminalWouldInterpretIsReplaced(text: String, shown: String) {
        #expect(text.printable == shown)
    }
}
