import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// `tapster exec` with a simulated server, whose answers the test chooses and may be malformed.
@Suite struct ExecTests {
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tapster-lease/1\r\n\r\n"

    private static func line(_ queues: Range<Int>, last: Bool = true) -> String {
        let indexes = queues.map(String.init).joined(separator: ", ")
        return
            #"{"lease": "0123456789abcdef", "device": "web0", "ifindex": 12, "networkNamespace": null, "#
            + #""vnetHeaderSize": 12, "queues": [\#(indexes)], "last": \#(last)}"# + "\n"
    }

    /// A file for each queue, which contains the queue's number.
    private static func files(_ count: Int, _ directory: String) throws -> [Int32] {
        try (0..<count).map { number in
            let path = "\(directory)/queue-\(number)"
            try "q\(number)".write(toFile: path, atomically: false, encoding: .utf8)
            return clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        }
    }

    /// The server's end of a connection.
    private struct Client {
        let number: Int32

        func send(_ text: String, _ descriptors: [Int32] = []) {
            let bytes = Array(text.utf8)
            let sent = clinux_send_descriptors(number, bytes, bytes.count, descriptors, descriptors.count, 0)
            #expect(sent == bytes.count)
        }

        /// Waits for the other side to close it.
        func isClosed() -> Bool {
            var byte: UInt8 = 0
            return recv(number, &byte, 1, 0) == 0
        }
    }

    /// A server that accepts one client, reads its request, and runs the test's code.
    private final class Server: Sendable {
        let path: String
        private let listener: Int32
        private let done = DispatchSemaphore(value: 0)
        // Read after the thread has ended.
        nonisolated(unsafe) private var request = ""

        init(_ directory: String, _ serve: @escaping @Sendable (Client) throws -> Void) throws {
            path = directory + "/api.sock"
            listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let size = socklen_t(MemoryLayout<sockaddr_un>.size)
            let isBound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) == 0 }
            }
            guard isBound, listen(listener, 1) == 0 else { throw TestFailure("listen at \(path)") }
            let thread = Thread { [self] in
                defer { done.signal() }
                let number = accept(listener, nil, nil)
                guard number >= 0, fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else { return }
                defer { close(number) }
                var byte: UInt8 = 0
                while !request.hasSuffix("\r\n\r\n"), recv(number, &byte, 1, 0) == 1 {
                    request.unicodeScalars.append(Unicode.Scalar(byte))
                }
                do { try serve(Client(number: number)) } catch { Issue.record(error) }
            }
            thread.start()
        }

        /// Ends the server.
        ///
        /// - Returns: The client's request; empty if no client connected.
        func end() -> String {
            shutdown(listener, Int32(SHUT_RDWR))
            done.wait()
            close(listener)
            return request
        }
    }

    private struct Run {
        let status: Int32
        let output: String
        let request: String
    }

    /// Runs `tapster exec --device web0` with a server.
    private static func exec(
        _ words: [String], in directory: String, _ serve: @escaping @Sendable (Client) throws -> Void
    ) throws -> Run {
        let server = try Server(directory, serve)
        let output = directory + "/output"
        let status = try ChildProcess(
            Daemon.binary, ["exec", "--device", "web0", "--socket", server.path] + words, output: output
        ).wait()
        let request = server.end()
        return Run(status: status, output: try String(contentsOfFile: output, encoding: .utf8), request: request)
    }

    private static func withDirectory(_ body: @escaping @Sendable (String) throws -> Void) async throws {
        try await onThread { try withTemporaryDirectory { directory in try body(directory) } }
    }

    enum Cut: CaseIterable {
        case together, apart, bytes
    }

    /// However the bytes are split, the command has the descriptors and the connection until it ends.
    @Test(arguments: Cut.allCases)
    func theCommandHasTheQueues(cut: Cut) async throws {
        try await Self.withDirectory { directory in
            let script = """
                import os, sys
                print(sys.argv[1])
                print(os.getpid(), sys.argv[2:])
                numbers = sys.argv[1].split(":")
                print([os.pread(int(number), 10, 0).decode() for number in numbers])
                """
            let server = try Server(directory) { client in
                let files = try Self.files(4, directory)
                let line = Self.line(0..<4)
                switch cut {
                case .together: client.send(Self.switching + line, files)
                case .apart:
                    client.send(Self.switching)
                    usleep(20_000)
                    client.send(line, files)
                case .bytes:
                    for character in Self.switching.unicodeScalars { client.send(String(character)) }
                    client.send(String(line.prefix(1)), files)
                    for character in line.dropFirst() {
                        client.send(String(character))
                        usleep(100)
                    }
                }
                for file in files { close(file) }
                #expect(client.isClosed())
            }
            let process = try ChildProcess(
                Daemon.binary,
                [
                    "exec", "--socket", server.path, "--device", "web0", "--", "/usr/bin/python3", "-c", script,
                    "{fds}", "{fd0}", "-{fd3}{fd1}-", "{fd}", "{fds", "{{fd2}}", "{fd-1}", "{}", "",
                ], output: directory + "/output")
            #expect(process.wait() == 0)
            let request = server.end()
            #expect(request.hasPrefix("GET /v1/devices/web0/lease HTTP/1.1\r\nHost: tapster\r\n"))
            let lines = try String(contentsOfFile: directory + "/output", encoding: .utf8)
                .split(separator: "\n").map(String.init)
            let numbers = lines[0].split(separator: ":")
            try #require(numbers.count == 4 && lines.count == 3)
            let places = "'\(numbers[0])', '-\(numbers[3])\(numbers[1])-', '{fd}', '{fds', '{\(numbers[2])}'"
            #expect(lines[1] == "\(process.identifier) [\(places), '{fd-1}', '{}', '']")
            #expect(lines[2] == "['q0', 'q1', 'q2', 'q3']")
        }
    }

    @Test func aLargeLeaseComesInSeveralMessages() async throws {
        try await Self.withDirectory { directory in
            let script =
                #"import os, sys; print(*[os.pread(int(n), 9, 0).decode() for n in sys.argv[1].split(":")])"#
            let run = try Self.exec(["--", "/usr/bin/python3", "-c", script, "{fds}"], in: directory) { client in
                let files = try Self.files(255, directory)
                client.send(Self.switching)
                client.send(Self.line(0..<250, last: false), Array(files[..<250]))
                client.send(Self.line(250..<255), Array(files[250...]))
                for file in files { close(file) }
                #expect(client.isClosed())
            }
            #expect(run.status == 0)
            #expect(run.output == (0..<255).map { "q\($0)" }.joined(separator: " ") + "\n")
        }
    }

    @Test func theRequestIsEncoded() async throws {
        try await Self.withDirectory { directory in
            let run = try Self.exec(
                ["--device", "a b/ü", "--consumer", "vm 4&2=%~x", "--queues", "3,0", "--", "/bin/true"], in: directory
            ) { _ in }
            #expect(
                run.request.hasPrefix(
                    "GET /v1/devices/a%20b%2F%C3%BC/lease?consumer=vm%204%262%3D%25~x&queues=3,0 HTTP/1.1\r\n"))
            #expect(run.request.contains("\r\nConnection: Upgrade\r\nUpgrade: tapster-lease/1\r\n"))
        }
    }

    @Test(arguments: [("exit 42", 42), ("kill -9 $$", -9), ("kill -15 $$", -15), ("exit 0", 0)] as [(String, Int32)])
    func theEndIsTheCommands(script: String, status: Int32) async throws {
        try await Self.withDirectory { directory in
            let run = try Self.exec(["--", "sh", "-c", script], in: directory) { client in
                let files = try Self.files(1, directory)
                client.send(Self.switching + Self.line(0..<1), files)
                close(files[0])
                #expect(client.isClosed())
            }
            #expect(run.status == status)
        }
    }

    private static func answer(_ status: String, _ body: String, type: String = "application/problem+json") -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func aRefusalIsReported() async throws {
        try await Self.withDirectory { directory in
            let detail = "queue 2 of device 'web0' is leased by pid 17"
            let body = #"{"title": "x", "status": 409, "detail": "\#(detail)", "code": "QUEUE_LEASED"}"#
            let run = try Self.exec(["--", "/bin/true"], in: directory) { client in
                client.send(Self.answer("409 Conflict", body))
            }
            #expect(run.status == 125)
            #expect(run.output == "tapster: \(detail)\n")
        }
    }

    /// Answers that the daemon never sends, and the expected message.
    private static let brokenAnswers: [(String, String)] = [
        (answer("500 Internal Server Error", "<p>", type: "text/html"), "answered '500 Internal Server Error'"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "answered '503 Service Unavailable'"),
        ("", "closed the connection"), ("HTTP/1.1 101 Switching", "closed the connection"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not a lease"), ("\r\n\r\n", "not a lease"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "another protocol"),
        (switching, "closed the connection"), (switching + "{\"queues\": [0", "closed the connection"),
        (switching + "hello\n", "not a lease"), (switching + "[]\n", "not a lease"),
        (switching + "{}\n", "not a lease"), (switching + line(0..<2), "numbers of descriptors and queues"),
        (switching + line(0..<0), "numbers of descriptors and queues"),
        (switching + line(0..<1), "numbers of descriptors and queues"),
        (switching + line(0..<1, last: false), "numbers of descriptors and queues"),
        (String(repeating: "x", count: 2 << 20), "not a lease"),
    ]

    @Test(arguments: brokenAnswers.indices)
    func aBrokenAnswerIsAnError(index: Int) async throws {
        let (answer, said) = Self.brokenAnswers[index]
        try await Self.withDirectory { directory in
            let run = try Self.exec(["--", "/bin/echo", "alive"], in: directory) { client in
                // Too many descriptors, too few, or none needed.
                let files = answer.contains("[0],") || answer.contains("[]") ? [] : try Self.files(1, directory)
                let bytes = Array(answer.utf8)
                _ = clinux_send_descriptors(
                    client.number, bytes, bytes.count, files, bytes.isEmpty ? 0 : files.count, 0)
                for file in files { close(file) }
            }
            #expect(run.status == 125)
            #expect(run.output.hasPrefix("tapster: ") && run.output.contains(said), "\(run.output)")
            #expect(!run.output.contains("alive"))
        }
    }

    @Test func moreDescriptorsThanQueuesAreAnError() async throws {
        try await Self.withDirectory { directory in
            let run = try Self.exec(["--", "/bin/echo", "alive"], in: directory) { client in
                let files = try Self.files(3, directory)
                client.send(Self.switching + Self.line(0..<2), files)
                for file in files { close(file) }
            }
            #expect(run.status == 125)
            #expect(run.output.contains("numbers of descriptors and queues"))
        }
    }

    @Test func aQueueThatTheLeaseDoesNotHaveIsAnError() async throws {
        try await Self.withDirectory { directory in
            let run = try Self.exec(["--", "/bin/echo", "{fd4}"], in: directory) { client in
                let files = try Self.files(4, directory)
                client.send(Self.switching + Self.line(0..<4), files)
                for file in files { close(file) }
            }
            #expect(run.status == 125)
            #expect(run.output == "tapster: {fd4} does not exist: the lease has 4 queues, {fd0} to {fd3}\n")
        }
    }

    /// A mistyped command does not acquire a lease.
    @Test(arguments: [("no-such-command", 127), ("/no/such/command", 127), ("/etc/passwd", 126), ("/", 126)])
    func theCommandIsLookedForFirst(command: String, status: Int) async throws {
        try await Self.withDirectory { directory in
            let run = try Self.exec(["--", command], in: directory) { _ in Issue.record("it has asked for a lease") }
            #expect(run.status == Int32(status))
            #expect(run.output.hasPrefix("tapster: '\(command)' "))
            #expect(run.request.isEmpty)
        }
    }

    /// Only the kernel knows whether a command can run: a script with a missing interpreter is found, but does not
    /// start.
    @Test func aCommandThatDoesNotStartIsReported() async throws {
        try await Self.withDirectory { directory in
            let script = directory + "/script"
            // Written by another process: a child of another test may briefly inherit our descriptor, and a file that
            // is open for writing cannot be executed (ETXTBSY).
            try run("sh", "-c", "echo '#!/no/such/interpreter' >\(script); chmod 755 \(script)")
            let ended = try Self.exec(["--", script], in: directory) { client in
                let files = try Self.files(1, directory)
                client.send(Self.switching + Self.line(0..<1), files)
                close(files[0])
                #expect(client.isClosed())
            }
            #expect(ended.status == 127)
            #expect(ended.output == "tapster: '\(script)' or its interpreter was not found\n")
        }
    }

    @Test func withoutADaemonItSaysWhatToDo() async throws {
        try await Self.withDirectory { directory in
            func exec(_ socket: String) throws -> String {
                let output = directory + "/output"
                unlink(output)
                let words = ["exec", "--device", "web0", "--socket", socket, "--", "true"]
                #expect(try ChildProcess(Daemon.binary, words, output: output).wait() == 125)
                return try String(contentsOfFile: output, encoding: .utf8)
            }
            #expect(try exec(directory + "/none").contains("is the daemon running? --socket sets another path"))
            let path = directory + "/left"
            try run("/usr/bin/python3", "-c", "import socket; socket.socket(1, 1).bind('\(path)')")
            #expect(try exec(path).contains("no process listens at \(path): is the daemon running?"))
            #expect(try exec(directory + String(repeating: "x", count: 200)).contains("too long"))
        }
    }

    @Test(arguments: [
        [], ["--", "true"], ["--device", "web0"], ["--device", "web0", "--"], ["--device", "", "--", "true"],
        ["--device", "web0", "--queues", "0,,1", "--", "true"], ["--device", "web0", "--queues", "x", "--", "true"],
        ["--device", "web0", "true"],
    ])
    func invalidArgumentsAreAUsageError(words: [String]) async throws {
        try await onThread {
            let status = try ChildProcess(Daemon.binary, ["exec"] + words).wait()
            #expect(status == 64)
        }
    }

    /// The command's environment is as without `tapster exec`; even if standard input is closed, no queue takes its
    /// number.
    @Test func nothingElseIsPassedOn() async throws {
        try await Self.withDirectory { directory in
            let look = """
                import os, sys
                for line in open("/proc/self/status"):
                    if line[:6] in ("SigBlk", "SigIgn"): print(line.split()[1])
                print(sys.argv[1])
                print(*[number for number in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + number)])
                """
            let server = try Server(directory) { client in
                let files = try Self.files(2, directory)
                client.send(Self.switching + Self.line(0..<2), files)
                for file in files { close(file) }
                #expect(client.isClosed())
            }
            let output = try run(
                "/usr/bin/python3", "-c",
                """
                import os, signal, sys
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                os.close(0)
                os.closerange(3, 10000)
                os.execv(sys.argv[1], sys.argv[1:])
                """, Daemon.binary, "exec", "--device", "web0", "--socket", server.path, "--", "/usr/bin/python3", "-c",
                look, "{fds}")
            _ = server.end()
            let seen = output.split(separator: "\n")
            try #require(seen.count == 4, "\(output)")
            func signals(_ line: Int) -> UInt64? { UInt64(seen[line], radix: 16).map { $0 & 0x7FFF_FFFF } }
            #expect(signals(0) == 1 << UInt64(SIGUSR1 - 1))
            // Python itself ignores the last two.
            #expect(signals(1) == 1 << UInt64(SIGHUP - 1) | 1 << UInt64(SIGPIPE - 1) | 1 << UInt64(SIGXFSZ - 1))
            #expect(seen[2] == "4:5")
            #expect(seen[3] == "0 1 2 3 4 5")
        }
    }

    /// The queues of the real daemon, whose restart does not affect the command.
    @Test(.privileged) func theDaemonLeases() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(keptIn: directory)
                #expect(try daemon.create("web0", spec: #"{"queues": 255}"#).status == 201)
                func exec(_ words: String...) throws -> ChildProcess {
                    try ChildProcess(
                        Daemon.binary, ["exec", "--socket", daemon.socket, "--device", "web0"] + words,
                        output: directory + "/output")
                }
                func leases() throws -> Int? { (try daemon.send("GET", "/v1/leases")["items"] as? [Any])?.count }

                // The fdinfo of a tun descriptor contains its interface (`tun_chr_show_fdinfo()`).
                let look = #"echo $0 $1 | tr ':' '\n' | grep -c . ; grep -h iff /proc/self/fdinfo/$1; exec sleep 1000"#
                let command = try exec("--", "sh", "-c", look, "{fds}", "{fd254}")
                func output() -> String { (try? String(contentsOfFile: directory + "/output", encoding: .utf8)) ?? "" }
                try eventually("it has the queues", within: 30) { output().contains("iff:\tweb0") }
                #expect(output().hasPrefix("255\n"))
                #expect(try leases() == 1)

                #expect(try exec("--queues", "7", "--", "true").wait() == 125)
                #expect(output().contains("tapster: queue 7 of device 'web0' is leased by pid \(command.identifier)"))

                daemon.kill()
                try daemon.start()
                #expect(try leases() == 1)
                #expect(try Interface("web0")?.tun("numqueues") == "255")

                command.signal(SIGKILL)
                #expect(command.wait() == -SIGKILL)
                try eventually("the lease has ended") { try leases() == 0 }
                #expect(try exec("--queues", "7", "--", "sh", "-c", "exit 3").wait() == 3)
                #expect(try exec("--queues", "255", "--", "true").wait() == 125)
                #expect(daemon.stop() == 0)
            }
        }
    }
}
