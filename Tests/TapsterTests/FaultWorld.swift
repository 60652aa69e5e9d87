import Foundation
import Glibc
import TestSupport
import Testing

/// Runs `body` with a daemon whose system calls can fail, in a namespace of its own.
func withFaultWorld(_ body: @escaping @Sendable (FaultWorld) throws -> Void) async throws {
    try await inNamespace {
        try withTemporaryDirectory { directory in
            let world = try FaultWorld(directory)
            defer { world.end() }
            try world.reset()
            let before = try CrashTests.bystanderState()
            try body(world)
            #expect(try CrashTests.bystanderState() == before)
        }
    }
}

/// A daemon whose system calls can fail, with two devices that stay unchanged and several that are operated on.
final class FaultWorld {
    let daemon: Daemon
    let faults: Faults
    private let elsewhere: [ChildProcess]
    /// The devices that are declared now, except those in other namespaces.
    private(set) var expected: Set<String> = []
    private var wantsElsewhere = false
    /// The files that the daemon has open while idle.
    private var descriptors: [String] = []
    /// Makes each change different from the previous one.
    private var variant = 0

    private static let bystanders: Set<String> = ["keep0", "keep1"]
    private static let old: Set<String> = ["old0", "old1", "old2"]
    private static let new: Set<String> = ["new0", "new1", "new2"]

    init(_ directory: String) throws {
        faults = try Faults(in: directory)
        elsewhere = try (0..<3).map { _ in try ChildProcess("unshare", ["--net", "sleep", "600"]) }
        daemon = Daemon(stoppedIn: directory)
        try daemon.start(environment: faults.environment)
        for process in elsewhere {
            try eventually("it has a namespace of its own") {
                try Self.namespace(process.identifier) != Self.namespace(getpid())
            }
        }
    }

    func end() {
        daemon.kill()
        for process in elsewhere {
            process.signal(SIGKILL)
            process.wait()
        }
    }

    private static func namespace(_ process: pid_t) throws -> String {
        try FileManager.default.destinationOfSymbolicLink(
            atPath: process == getpid() ? "/proc/thread-self/ns/net" : "/proc/\(process)/ns/net")
    }

    /// Restores the initial state of every case.
    func reset() throws {
        faults.disarm()
        let old = Self.old.map { #"{"metadata": {"name": "\#($0)"}, "spec": {"queues": 2}}"# }
        let body = """
            {"devices": [{"metadata": {"name": "keep0"}},
                         {"metadata": {"name": "keep1"}, "spec": {"access": "open", "multiQueue": true}},
             \(old.joined(separator: ", "))]}
            """
        let answer = try daemon.send("POST", "/v1/apply?prune=true&wait=10s", json: body)
        guard answer.status == 200 else { throw TestFailure("reset: \(answer.status) \(answer.text)") }
        // A full pass closes namespaces that have no devices any more.
        _ = try daemon.send("GET", "/v1/unmanaged")
        expected = Self.bystanders.union(Self.old)
        wantsElsewhere = false
        // The connections of earlier requests close a little later.
        if descriptors.isEmpty {
            descriptors =
                (0..<10).map { _ in
                    usleep(5_000)
                    return openFiles()
                }.min { $0.count < $1.count } ?? []
        }
        do {
            try eventually("no descriptor is leaked", within: 5) { openFiles().count <= descriptors.count }
        } catch {
            let before = descriptors
            throw TestFailure("\(error): \(openFiles().filter { !before.contains($0) })")
        }
    }

    /// The devices of the operation.
    func concerned(_ operation: FaultTests.Operation) -> Set<String> {
        switch operation {
        case .create: Self.new
        case .createElsewhere: ["far0", "far1", "far2"]
        case .changeSettings, .changeLinks, .delete: Self.old
        }
    }

    /// Sends the operation as one request, without waiting.
    func send(_ operation: FaultTests.Operation) throws -> Answer {
        variant = (variant + 1) % 100
        let number = variant
        let specs: [(name: String, spec: String)] = concerned(operation).sorted().enumerated().map { place, name in
            switch operation {
            case .create:
                (
                    name,
                    #"{"access": "open", "multiQueue": true, "owner": \#(7 + number), "group": 8, "#
                        + #""link": {"alias": "n\#(number)"}}"#
                )
            case .createElsewhere:
                (name, #"{"networkNamespace": "/proc/\#(elsewhere[place].identifier)/ns/net"}"#)
            case .changeSettings:
                (
                    name,
                    #"{"queues": 2, "vnetHeaderSize": \#(20 + 4 * (number % 10)), "offloads": ["checksum"], "#
                        + #""owner": 7, "access": "open", "multiQueue": true}"#
                )
            case .changeLinks:
                (name, #"{"queues": 2, "link": {"mtu": \#(9_000 + number), "addresses": ["10.9.\#(place).1/24"]}}"#)
            case .delete: (name, "")
            }
        }
        let answer: Answer
        if operation == .delete {
            let body =
                #"{"devices": [{"metadata": {"name": "keep0"}}, {"metadata": {"name": "keep1"}, "#
                + #""spec": {"access": "open", "multiQueue": true}}]}"#
            answer = try daemon.send("POST", "/v1/apply?prune=true", json: body)
        } else {
            let devices = specs.map { #"{"metadata": {"name": "\#($0.name)"}, "spec": \#($0.spec)}"# }
            answer = try daemon.send(
                "POST", "/v1/apply", json: #"{"devices": [\#(devices.joined(separator: ", "))]}"#)
        }
        if answer.status < 300 {
            switch operation {
            case .create: expected.formUnion(Self.new)
            case .createElsewhere: wantsElsewhere = true
            case .delete: expected.subtract(Self.old)
            case .changeSettings, .changeLinks: break
            }
        }
        return answer
    }

    func perform(_ operation: FaultTests.Operation) throws {
        let answer = try send(operation)
        guard answer.status < 300 else { throw TestFailure("\(operation): \(answer.status) \(answer.text)") }
    }

    // MARK: What the daemon says

    private func devices() throws -> [String: [String: Any]] {
        let items = try daemon.send("GET", "/v1/devices")["items"] as? [[String: Any]] ?? []
        return items.reduce(into: [:]) { devices, item in
            if let name = (item["metadata"] as? [String: Any])?["name"] as? String { devices[name] = item }
        }
    }

    func phase(_ name: String) throws -> String? {
        (try devices()[name]?["status"] as? [String: Any])?["phase"] as? String
    }

    func versions() throws -> [String: String] {
        try devices().mapValues { ($0["metadata"] as? [String: Any])?["resourceVersion"] as? String ?? "" }
    }

    /// Whether exactly the declared devices exist, all of them are Ready, and the daemon is ready.
    func isHealthy() throws -> Bool {
        let devices = try devices()
        let wanted = wantsElsewhere ? expected.union(concerned(.createElsewhere)) : expected
        return try Set(devices.keys) == wanted
            && devices.values.allSatisfy { ($0["status"] as? [String: Any])?["phase"] as? String == "Ready" }
            && daemon.send("GET", "/readyz").status == 200
    }

    func reports(_ report: FaultTests.Report, _ words: String) throws -> Bool {
        let (reason, beginnings): (String, [String])
        switch report {
        case .readiness:
            let answer = try daemon.send("GET", "/readyz")
            return answer.status == 503 && answer.text.contains(words)
        case .namespace: (reason, beginnings) = ("NamespaceUnusable", ["open_namespace", "enter_namespace"])
        case .steps(let steps): (reason, beginnings) = ("StepFailed", Array(steps))
        }
        return try devices().values.contains { device in
            guard let status = device["status"] as? [String: Any], let error = status["lastError"] as? String,
                let ready = (status["conditions"] as? [[String: Any]])?.first(where: {
                    $0["type"] as? String == "Ready"
                })
            else { return false }
            return ready["status"] as? String == "False" && ready["reason"] as? String == reason
                && beginnings.contains { error.hasPrefix("\($0) \(words)") }
        }
    }

    /// How many steps and passes have failed with this error.
    func errors(_ name: String) throws -> Int {
        try daemon.metrics().split(separator: "\n")
            .filter { $0.hasPrefix("tapster_kernel_errors_total") && $0.contains("errno=\"\(name)\"") }
            .reduce(0) { $0 + (Int($1.split(separator: " ")[1]) ?? 0) }
    }

    private func events(after identifier: Int) throws -> [[String: Any]] {
        try daemon.send("GET", "/v1/events?limit=1000&after=\(identifier)")["items"] as? [[String: Any]] ?? []
    }

    func latestEvent() throws -> Int {
        var latest = 0
        while let last = try events(after: latest).last?["id"] as? Int { latest = last }
        return latest
    }

    /// The devices that have an event of this reason.
    func devices(_ reason: String, after identifier: Int) throws -> Set<String> {
        let events = try events(after: identifier).filter { $0["reason"] as? String == reason }
        return Set(events.compactMap { $0["device"] as? String })
    }

    // MARK: What the kernel says

    /// Without timers and polls, some of which libdispatch creates when it first needs them.
    private func openFiles() -> [String] {
        let folder = "/proc/\(daemon.process?.identifier ?? 0)/fd"
        let files = FileManager.default
        let numbers = (try? files.contentsOfDirectory(atPath: folder)) ?? []
        return numbers.compactMap { try? files.destinationOfSymbolicLink(atPath: "\(folder)/\($0)") }.filter {
            !$0.hasPrefix("anon_inode:")
        }
    }

    /// All interfaces except `lo`.
    func interfaces() throws -> Set<String> {
        let text = try TestSupport.run("ip", "-j", "link")
        let links = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]] ?? []
        return Set(links.compactMap { $0["ifname"] as? String }).subtracting(["lo"])
    }
}
