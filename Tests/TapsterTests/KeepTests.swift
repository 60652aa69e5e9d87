import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// `tapster keep`, with small programs that store descriptors and end.
@Suite struct KeepTests {
    /// The beginning of each program: `notify`, `inherited` and `tell`, which writes a line for the test.
    private static let prelude = """
        import array, json, os, signal, socket, sys, time
        place = os.environ["TMPDIR"]
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.connect(os.environ["NOTIFY_SOCKET"])
        def notify(text, descriptors=[]):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            manager.sendmsg([text.encode()], rights if descriptors else [])
        count = int(os.environ.get("LISTEN_FDS", "0"))
        assert count == 0 or os.environ["LISTEN_PID"] == str(os.getpid())
        names = os.environ["LISTEN_FDNAMES"].split(":") if count else []
        inherited = list(zip(names, range(3, 3 + count)))
        def tell(value):
            with open(place + "/written", "a") as file: file.write(json.dumps(value) + "\\n")

        """

    /// `tapster keep` with such a program.
    private final class Keep {
        let process: ChildProcess
        let directory: String

        init(
            _ directory: String, _ script: String = "", command: [String]? = nil, environment: [String: String] = [:]
        ) throws {
            self.directory = directory
            process = try ChildProcess(
                Daemon.binary, ["keep", "--"] + (command ?? ["/usr/bin/python3", "-c", KeepTests.prelude + script]),
                output: directory + "/log", environment: ["TMPDIR": directory].merging(environment) { $1 })
        }

        deinit {
            process.signal(SIGKILL)
            process.wait()
        }

        var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }

        var written: [String] {
            let text = (try? String(contentsOfFile: directory + "/written", encoding: .utf8)) ?? ""
            return text.split(separator: "\n").map(String.init)
        }

        /// Waits until the program has written this many lines.
        func written(_ count: Int) throws -> [String] {
            try eventually("\(count) lines are written", within: 30) {
                guard process.isRunning || written.count >= count else {
                    throw TestFailure("keep ended with \(process.wait()): \(log)")
                }
                return written.count >= count
            }
            return written
        }

        /// Sends SIGTERM and waits until it has ended.
        ///
        /// - Returns: The exit status.
        func stop() -> Int32 {
            process.signal(SIGTERM)
            return process.wait()
        }
    }

    private static func kill(_ process: String, _ signal: Int32 = SIGKILL) throws {
        let number = try #require(pid_t(process))
        #expect(number > 1 && Glibc.kill(number, signal) == 0)
    }

    private static func isRunning(_ process: String) -> Bool {
        // A zombie still has a process ID, but runs no program.
        let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        return status.map { !$0.contains(") Z ") } ?? false
    }

    @Test func whatIsStoredComesBack() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    ends = []
                    def look(name, number):
                        if name == "memory": return [name, os.pread(number, 100, 0).decode()]
                        if name == "pair":
                            ends.append(socket.socket(fileno=os.dup(number)))
                            if len(ends) == 1: return [name, ends[0].send(b"x")]
                            return [name, ends[1].recv(1).decode()]
                        return [name, os.fstat(number).st_size]
                    tell([os.getpid()] + [look(name, number) for name, number in inherited])
                    if not inherited:
                        memory = os.memfd_create("m")
                        os.write(memory, b"content")
                        notify("FDSTORE=1\\nFDNAME=memory", [memory])
                        left, right = socket.socketpair()
                        notify("FDSTORE=1\\nFDNAME=pair\\nFDPOLL=0", [left.fileno(), right.fileno()])
                        gone = os.memfd_create("g")
                        notify("FDSTORE=1\\nFDNAME=gone", [gone])
                        notify("FDSTORE=1\\nFDNAME=gone", [os.memfd_create("h")])
                        # What is stored already, and messages that store nothing.
                        notify("FDSTORE=1\\nFDNAME=other", [memory])
                        notify("BARRIER=1", [os.memfd_create("b")])
                        notify("FDSTOREREMOVE=1\\nFDNAME=gone")
                        notify("FDSTOREREMOVE=1")
                        notify("FDSTORE=1\\nFDNAME=a:b", [os.memfd_create("n")])
                        notify("FDSTORE=1", [os.memfd_create("n")])
                    notify("STATUS=well\\nREADY=1")
                    tell("ready")
                    time.sleep(1000)
                    """)
                for round in 0..<3 {
                    let line = try keep.written(2 * round + 2)[2 * round]
                    let first = try #require(
                        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [Any])
                    if round > 0 {
                        let expected =
                            #"["memory", "content"], ["pair", 1], ["pair", "x"], ["stored", 0], ["stored", 0]]"#
                        #expect(line.hasSuffix(expected), "\(line)")
                    }
                    try Self.kill("\(first[0])")
                }
                // They come in the order in which they were stored; both ends of the pair are connected.
                _ = try keep.written(8)
                #expect(keep.stop() == 143)
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["log", "written"])
            }
        }
    }

    /// A message may be the last action of a program.
    @Test func whatWasStoredLastIsNotLost() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    tell(count)
                    notify("READY=1")
                    if count == 5: time.sleep(1000)
                    notify("FDSTORE=1\\nFDNAME=n", [os.memfd_create("m")])
                    os.kill(os.getpid(), signal.SIGKILL)
                    """)
                #expect(try keep.written(6) == ["0", "1", "2", "3", "4", "5"])
                #expect(keep.stop() == 143)
                // The delay doubles while each run of the program is short.
                for delay in ["100 ms", "200 ms", "400 ms", "800 ms", "1600 ms"] {
                    #expect(keep.log.contains("in=\(delay) status=137"))
                }
            }
        }
    }

    @Test func thousandsComeBackQuickly() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    import resource
                    if not inherited:
                        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
                        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
                        for number in range(4000):
                            memory = os.memfd_create("m")
                            os.write(memory, str(number).encode())
                            notify("FDSTORE=1\\nFDNAME=m%d" % number, [memory])
                            os.close(memory)
                    right = [name == "m" + os.pread(number, 10, 0).decode() for name, number in inherited]
                    tell([os.getpid(), len(right), all(right)])
                    notify("READY=1")
                    tell(time.monotonic())
                    time.sleep(1000)
                    """)
                let process = try keep.written(2)[0].dropFirst().prefix { $0 != "," }
                let start = ContinuousClock.now
                try Self.kill(String(process))
                #expect(try keep.written(4)[2].hasSuffix(", 4000, true]"))
                // 100 ms of it are the delay, most of the rest is Python.
                #expect(start.duration(to: .now) < .seconds(2))
                #expect(keep.stop() == 143)
            }
        }
    }

    /// The names are passed in one variable, which the kernel limits to 128 KiB: with a larger store the program could
    /// never start.
    @Test func aStoreThatIsFullRefusesAndStarts() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    if not inherited:
                        for number in range(600):
                            notify("FDSTORE=1\\nFDNAME=" + "n" * 255, [os.memfd_create("m")])
                    tell(count)
                    notify("READY=1")
                    if inherited: time.sleep(1000)
                    """)
                #expect(try keep.written(2)[1] == "511")
                #expect(keep.log.components(separatedBy: "no room for more descriptors").count == 2)
                #expect(keep.stop() == 143)
            }
        }
    }

    @Test(
        arguments: [
            (["/bin/sh", "-c", "exit 7"], 7), (["/bin/true"], 0), (["/bin/sh", "-c", "kill -9 $$"], 137),
            (["no-such-command"], 127), (["/no/such/command"], 127), (["/etc/passwd"], 126), (["/"], 126),
        ] as [([String], Int32)])
    func aProgramThatIsNeverReadyIsNotRestarted(command: [String], status: Int32) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(directory, command: command)
                #expect(keep.process.wait() == status)
                if status == 126 || status == 127 { #expect(keep.log.hasPrefix("tapster: '\(command[0])' ")) }
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["log"])
            }
        }
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func signalsArePassedOn(number: Int32) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    def end(number, frame):
                        tell(number)
                        sys.exit(9)
                    signal.signal(signal.SIGTERM, end)
                    signal.signal(signal.SIGINT, end)
                    notify("READY=1")
                    tell("ready")
                    time.sleep(1000)
                    """)
                _ = try keep.written(1)
                keep.process.signal(number)
                #expect(keep.process.wait() == 9)
                #expect(keep.written == [#""ready""#, "\(number)"])
            }
        }
    }

    /// This is the way to upgrade; it also works before the program is ready for the first time.
    @Test(arguments: [true, false])
    func hangUpStartsAnew(isReady: Bool) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    def end(number, frame):
                        notify("FDSTORE=1\\nFDNAME=last", [os.memfd_create("m")])
                        sys.exit(0)
                    signal.signal(signal.SIGTERM, end)
                    \(isReady ? #"notify("READY=1")"# : "")
                    tell(count)
                    time.sleep(1000)
                    """)
                for round in 0..<3 {
                    #expect(try keep.written(round + 1) == (0...round).map(String.init))
                    keep.process.signal(SIGHUP)
                }
                _ = try keep.written(4)
                #expect(keep.stop() == 0)
            }
        }
    }

    /// Signals that keep blocks or ignores, and variables that it inherits, are not passed on.
    @Test func theProgramStartsClean() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    command: [
                        "/bin/sh", "-c",
                        #"(echo $(ls /proc/self/fd); grep -E 'Sig(Blk|Ign)' /proc/self/status; env) > $TMPDIR/written"#,
                    ], environment: ["LISTEN_FDS": "3", "LISTEN_PID": "1", "WATCHDOG_USEC": "1", "MINE": "yes"])
                #expect(keep.process.wait() == 0)
                let written = keep.written
                try #require(written.count > 3)
                // The standard ones, and the directory that is being read.
                #expect(written[0] == "0 1 2 3")
                #expect(written[1] == "SigBlk:\t0000000000000000")
                // Signals 32 and 33 are reserved by the C library.
                let ignored = try #require(UInt64(written[2].dropFirst(8), radix: 16))
                #expect(ignored & 0x7FFF_FFFF == 0)
                #expect(written.contains("MINE=yes"))
                #expect(written.contains { $0.hasPrefix("NOTIFY_SOCKET=\(directory)/") })
                #expect(!written.contains { $0.hasPrefix("LISTEN_FDS") || $0.hasPrefix("WATCHDOG") })
            }
        }
    }

    @Test func otherProcessesStoreNothing() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    tell([os.getpid(), names])
                    # A child of the program is another process, too.
                    if os.fork() == 0:
                        notify("READY=1\\nFDSTORE=1\\nFDNAME=foreign", [os.memfd_create("m")])
                        notify("FDSTOREREMOVE=1\\nFDNAME=mine")
                        os._exit(0)
                    os.wait()
                    if not inherited:
                        notify("READY=1")
                        notify("FDSTORE=1\\nFDNAME=mine", [os.memfd_create("m")])
                    tell("done")
                    time.sleep(1000)
                    """)
                let process = try keep.written(2)[0].dropFirst().prefix { $0 != "," }
                try Self.kill(String(process))
                #expect(try keep.written(4)[2].hasSuffix(#"["mine"]]"#))
                #expect(keep.stop() == 143)
            }
        }
    }

    @Test func theProgramEndsWithKeep() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let keep = try Keep(
                    directory,
                    """
                    notify("READY=1")
                    tell(os.getpid())
                    time.sleep(1000)
                    """)
                let process = try keep.written(1)[0]
                keep.process.signal(SIGKILL)
                keep.process.wait()
                try eventually("it has ended") { !Self.isRunning(process) }
            }
        }
    }

    /// The first process of a container becomes the parent of all orphans.
    @Test(.privileged) func orphansAreReaped() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let script = """
                    tell(os.getpid())
                    if os.fork() == 0:
                        for number in range(3):
                            if os.fork() == 0:
                                time.sleep(0.05)
                                os._exit(0)
                        os._exit(0)
                    os.wait()
                    notify("READY=1")
                    def zombies():
                        found = 0
                        for process in filter(str.isdigit, os.listdir("/proc")):
                            found += ") Z " in open("/proc/" + process + "/stat").read()
                        return found
                    def others(): return len([p for p in os.listdir("/proc") if p.isdigit()])
                    deadline = time.monotonic() + 10
                    while (zombies() or others() > 2) and time.monotonic() < deadline: time.sleep(0.01)
                    tell([zombies(), others(), os.getppid()])
                    time.sleep(1000)
                    """
                let container = try ChildProcess(
                    "/usr/bin/unshare",
                    [
                        "--pid", "--fork", "--mount-proc", "--kill-child", Daemon.binary, "keep", "--",
                        "/usr/bin/python3", "-c", Self.prelude + script,
                    ], output: directory + "/log", environment: ["TMPDIR": directory])
                defer {
                    container.signal(SIGKILL)
                    container.wait()
                }
                func written() -> String {
                    (try? String(contentsOfFile: directory + "/written", encoding: .utf8)) ?? ""
                }
                try eventually("all orphans are gone", within: 30) { written().split(separator: "\n").count == 2 }
                #expect(written().hasSuffix("[0, 2, 1]\n"))
            }
        }
    }

    /// The real daemon: it serves, and serves again after its end.
    @Test(.privileged) func theDaemonIsKept() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let socket = directory + "/api.sock"
                let keep = try Keep(
                    directory,
                    command: [
                        Daemon.binary, "serve", "--database", directory + "/tapster.db", "--socket", socket,
                        "--socket-group", "0",
                    ])
                func serve(_ what: String) throws {
                    try eventually(what, within: 30) {
                        guard keep.process.isRunning else { throw TestFailure("keep has ended: \(keep.log)") }
                        return (try? HTTPClient(socket: socket).send("GET", "/readyz").status) == 200
                    }
                }
                func process() throws -> String {
                    let started = try #require(
                        keep.log.split(separator: "\n").last { $0.contains(" info started descriptors=") })
                    return try #require(started.split(separator: "=").last.map(String.init))
                }
                try serve("it serves")
                let first = try process()
                try Self.kill(first)
                try eventually("it is started again", within: 30) { try process() != first }
                try serve("it serves again")
                #expect(keep.stop() == 0)
                #expect(keep.log.contains("stopped; the devices stay"))
            }
        }
    }
}
