import Foundation
import Glibc
import TestSupport
import Testing

/// The log on standard error, which has a reader that Tapster does not know.
@Suite(.privileged) struct LogTests {
    /// A pipe that is full, as with a stopped terminal or a log collector that hangs.
    private final class FullPipe {
        let path: String
        private let reader: Int32

        init(_ path: String) throws {
            self.path = path
            guard mkfifo(path, 0o600) == 0 else { throw TestFailure("mkfifo: \(errno)") }
            reader = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
            let bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 4_096)
            while write(reader, bytes, bytes.count) > 0 {}
        }

        deinit { close(reader) }

        /// Reads what is there.
        func read() -> String {
            var text: [UInt8] = []
            var bytes = [UInt8](repeating: 0, count: 65_536)
            while case let count = Glibc.read(reader, &bytes, bytes.count), count > 0 { text += bytes[..<count] }
            return String(decoding: text, as: UTF8.self)
        }
    }

    @Test func aReaderThatDoesNotReadStopsNothing() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let pipe = try FullPipe(directory + "/log-pipe")
                let daemon = Daemon(stoppedIn: directory, options: ["--log-level", "trace"])
                try daemon.launch(log: pipe.path)
                try daemon.waitUntilReady()
                // More lines than wait for the reader.
                for count in 0..<3 { try daemon.create("d\(count)", spec: #"{"queues": 1}"#) }
                try eventually("lines are dropped", within: 60) {
                    for mtu in 1_300..<1_400 { try daemon.patch("d0", spec: #"{"link": {"mtu": \#(mtu)}}"#) }
                    return try daemon.metric("tapster_log_lines_dropped_total") != "0"
                }
                _ = try LeaseHolder(daemon, "d1")
                try run("ip", "link", "set", "d2", "mtu", "1400")
                try eventually("the drift is repaired") { try Interface("d2")?.mtu == 1_500 }
                #expect(try daemon.send("GET", "/readyz").status == 200)

                // Once the reader reads again, it learns how much it has missed, and newer lines come.
                var text = ""
                try eventually("the loss is told") {
                    text += pipe.read()
                    return text.contains("log lines were dropped: they were not read lines=")
                }
                try daemon.patch("d0", spec: #"{"link": {"mtu": 1501}}"#)
                try eventually("newer lines come") { pipe.read().contains("d0") }
            }
        }
    }

    @Test func aStopDoesNotWaitForTheReader() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let pipe = try FullPipe(directory + "/log-pipe")
                let daemon = Daemon(stoppedIn: directory, options: ["--log-level", "info"])
                try daemon.launch(log: pipe.path)
                try daemon.waitUntilReady()
                #expect(daemon.stop() == 0)
            }
        }
    }

    /// Otherwise the next opened file would get the number of a closed descriptor, and the log be written to it.
    @Test func closedStandardDescriptorsBecomeTheNullDevice() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = Daemon(stoppedIn: directory)
                try daemon.launch(redirections: "<&- >&- 2>&-")
                try daemon.waitUntilReady()
                let process = try #require(daemon.process)
                for number in 0...2 {
                    let file = "/proc/\(process.identifier)/fd/\(number)"
                    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: file) == "/dev/null")
                }
                #expect(daemon.stop() == 0)
            }
        }
    }
}
