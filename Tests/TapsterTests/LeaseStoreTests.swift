import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Invalid contents of the descriptor store.
@Suite(.privileged) struct LeaseStoreTests {
    /// Becomes the daemon; the first time it stores invalid descriptors before.
    private static let planter = """
        import array, fcntl, json, os, socket, struct, sys
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.connect(os.environ["NOTIFY_SOCKET"])
        def store(name, number):
            manager.sendmsg([b"FDSTORE=1\\nFDPOLL=0\\nFDNAME=" + name.encode()],
                            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [number]))])
        def memory(name, text, title="planted"):
            number = os.memfd_create(title)
            os.write(number, text)
            store(name, number)
        if "LISTEN_FDS" not in os.environ:
            identifier = "0123456789abcdef"
            def lease(identifier, **members):
                lease = {"id": identifier, "uid": "x", "namespace": "1", "ifindex": 1, "consumer": None, "pid": 1,
                         "user": 0, "group": 0, "since": 0, "queues": [0], **members}
                return json.dumps({"device": "web0", "lease": lease, "order": [0, 0, 0]}).encode() + b"\\n"
            lines = [
                lease(identifier), lease("1" * 16, queues=[0, 0, -1, 1 << 62]), lease("2" * 16, ifindex=1 << 40),
                lease("3" * 16, since=-(1 << 63)), lease("4" * 16, pid=-1, user=(1 << 32) - 1),
                lease(identifier, queues=[]), lease("no identifier"), b'{"device": "web0", "order": [5, 5, -5]}\\n',
                b"[" * 100000 + b"\\n", b'{"device": "../../etc"}\\n', b"\\xff\\xfe\\x00\\n", b"\\n\\n",
                b'{"device": "web1", "ended": "' + identifier.encode() + b'"}\\n', lease("5" * 16)[:-20],
            ]
            memory("memory-2", b"".join(lines), "tapster")
            memory("memory-1", b"older")
            memory("memory--7", b"x")
            memory("memory-99999999999", b"x")
            memory("memory-", b"x")
            left, right = socket.socketpair()
            # A number beyond any file, and a file that is none.
            store("memory-9223372036854775807", left.fileno())
            store("memory-4294967295", right.fileno())
            memory("queue-%s-0" % identifier, b"no queue")
            reader, writer = os.pipe()
            store("lease-" + identifier, reader)
            tun = os.open("/dev/net/tun", os.O_RDWR)
            store("queue-%s-0" % ("1" * 16), tun)
            attached = os.open("/dev/net/tun", os.O_RDWR)
            # IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE (TUNSETIFF)
            fcntl.ioctl(attached, 0x400454CA, struct.pack("16sH14x", b"foreign0", 0x1102))
            store("queue-%s-0" % ("2" * 16), attached)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(sys.argv[1] + "/listener")
            listener.listen()
            store("lease-" + "1" * 16, listener.fileno())
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            store("lease-" + "2" * 16, datagrams.fileno())
            third, fourth = socket.socketpair()
            store("lease-" + "3" * 16, third.fileno())
            # What is kept together lies in a socket, as a message.
            def bundle(name, numbers):
                keeper, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                sender.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))])
                store(name, keeper.fileno())
            planted = os.memfd_create("planted")
            bundle("lease-" + "4" * 16, [reader, attached, tun])
            bundle("lease-" + "5" * 16, [planted, planted])
            bundle("lease-" + "6" * 16, [fourth.fileno(), attached, planted])
            bundle("lease-" + "7" * 16 + "+1", [attached])
            store("anchor-1-1", os.open("/dev/null", os.O_RDONLY))
            store("anything", os.open("/etc/passwd", os.O_RDONLY))
        os.execv(sys.argv[2], sys.argv[2:])
        """

    @Test func descriptorsWithoutALeaseAreClosed() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let socket = directory + "/api.sock"
                let keep = try ChildProcess(
                    Daemon.binary,
                    [
                        "keep", "--", "/usr/bin/python3", "-c", Self.planter, directory, Daemon.binary, "serve",
                        "--database", directory + "/tapster.db", "--socket", socket, "--socket-group", "0",
                        "--log-level", "warning",
                    ], output: directory + "/log")
                defer {
                    keep.signal(SIGTERM)
                    keep.wait()
                }
                func log() -> String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }
                func server() -> pid_t? {
                    let children = "/proc/\(keep.identifier)/task/\(keep.identifier)/children"
                    let text = try? String(contentsOfFile: children, encoding: .utf8)
                    return text?.split(separator: " ").first.flatMap { pid_t($0) }
                }
                func send(_ method: String, _ target: String, json: String? = nil) throws -> Answer {
                    let client = try HTTPClient(socket: socket)
                    guard let json else { return try client.send(method, target) }
                    return try client.send(method, target, json: json)
                }
                func waitUntilReady(_ before: pid_t?) throws {
                    try eventually("it is ready: \(log())", within: 30) {
                        guard keep.isRunning else { throw TestFailure(log()) }
                        return server() != before && (try? send("GET", "/readyz").status) == 200
                    }
                }
                try waitUntilReady(nil)
                for name in ["web0", "web1"] {
                    let device = #"{"metadata": {"name": "\#(name)"}, "spec": {"queues": 2}}"#
                    #expect(try send("POST", "/v1/devices?wait=10s", json: device).status == 201)
                }
                for _ in 0..<2 {
                    let before = try #require(server())
                    kill(before, SIGKILL)
                    try waitUntilReady(before)
                    let leases = try send("GET", "/v1/leases")
                    #expect((leases["items"] as? [Any])?.isEmpty == true, "\(leases.text)")
                    let open = ProcessFigures(try #require(server())).descriptors
                    #expect(!open.contains { $0.contains("planted") || $0 == "/etc/passwd" })
                    #expect(!open.contains("/dev/net/tun"), "\(open)")
                    try eventually("the supervisor has closed its copy") { try Interface("foreign0") == nil }
                    // Leases work as usual, and are remembered.
                    let holder = try Lessee(socket, of: "web0")
                    _ = try send("DELETE", "/v1/leases/\(String(repeating: "0", count: 16))")
                    let middle = try #require(server())
                    kill(middle, SIGKILL)
                    try waitUntilReady(middle)
                    #expect(!holder.isEnded, "\(log())")
                    #expect((try send("GET", "/v1/leases")["items"] as? [Any])?.count == 1)
                    holder.leave()
                    try eventually("the lease is over") {
                        (try send("GET", "/v1/leases")["items"] as? [Any])?.isEmpty == true
                    }
                }
                // The daemon is not kept busy by the remaining descriptors.
                let figures = ProcessFigures(try #require(server()))
                let seconds = figures.seconds
                sleep(1)
                #expect(figures.seconds - seconds < 0.3)
            }
        }
    }
}
