import Foundation
import Glibc
import TestSupport
import Testing

/// Random walks: users, external changes, namespaces and kills in any order, checked against a model.
///
/// `TAPSTER_SOAK_STEPS` is the number of steps; `TAPSTER_SOAK_SEED` reproduces a failure.
@Suite(.privileged) struct SoakTests {
    private static let walks = 4
    private static let environment = ProcessInfo.processInfo.environment
    private static let steps = environment["TAPSTER_SOAK_STEPS"].flatMap { Int($0) } ?? 2_000
    private static let seeds: [UInt64] =
        environment["TAPSTER_SOAK_SEED"].flatMap { UInt64($0) }.map { [$0] }
        ?? (0..<walks).map { _ in UInt64.random(in: 1...UInt64(UInt32.max)) }

    @Test(arguments: seeds)
    func theDesiredStateIsReached(seed: UInt64) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let walk = try Walk(seed: seed, directory: directory)
                defer { walk.end() }
                do {
                    for _ in 0..<Self.steps / Self.seeds.count { try walk.step() }
                    try walk.check()
                } catch {
                    throw TestFailure(
                        "TAPSTER_SOAK_SEED=\(seed) TAPSTER_SOAK_STEPS=\(Self.steps / Self.seeds.count): \(error)\n"
                            + "after: \(walk.log.suffix(12).joined(separator: "; "))\n\(walk.daemon.log.suffix(2_000))")
                }
            }
        }
    }
}

/// A device in the model.
private struct Wanted: Equatable {
    var kind = "tap"
    var access = "brokered"
    var queues = 1
    var vnetHeader = true
    var namespace: Int?
    var mtu = 1_500
    var up = true
    var alias: String?
    var altName: String?
    var address: String?
    var length = 1_000
    var isInBridge = false

    func document(_ namespaces: [String]) -> String {
        func text(_ value: String?) -> String { value.map { "\"\($0)\"" } ?? "null" }
        func list(_ value: String?) -> String { value.map { "[\"\($0)\"]" } ?? "[]" }
        return """
            {"kind": "\(kind)", "access": "\(access)", "multiQueue": true, "queues": \(queues),
             "vnetHeader": \(vnetHeader), "offloads": \(vnetHeader ? "[\"checksum\"]" : "[]"),
             "owner": \(access == "open" ? "7" : "null"), "networkNamespace": \(text(namespace.map { namespaces[$0] })),
             "link": {"mtu": \(mtu), "up": \(up), "alias": \(text(alias)), "altNames": \(list(altName)),
                      "addresses": \(list(address)), "txQueueLength": \(length),
                      "controller": \(isInBridge ? "\"br0\"" : "null")}}
            """
    }

    /// Changes a field; with `anything`, also those that need a new interface.
    mutating func change(_ name: String, anything: Bool, using random: inout SeededGenerator) {
        switch Int.random(in: 0..<(anything ? 11 : 8), using: &random) {
        case 0: mtu = [1_400, 1_500, 9_000].randomElement(using: &random) ?? 1_500
        case 1: up.toggle()
        case 2: alias = alias == nil ? "alias of \(name)" : nil
        case 3: altName = altName == nil ? "alternative-name-of-\(name)" : nil
        case 4: address = address == nil ? "10.0.\(name.dropFirst()).1/24" : nil
        case 5: length = [500, 1_000].randomElement(using: &random) ?? 500
        case 6: queues = Int.random(in: 1...8, using: &random)
        case 7: if kind == "tap", namespace == nil { isInBridge.toggle() }
        case 8: vnetHeader.toggle()
        case 9:
            namespace = namespace == nil ? Int.random(in: 0..<2, using: &random) : nil
            if namespace != nil { isInBridge = false }
        default:
            kind = kind == "tap" ? "tun" : "tap"
            isInBridge = false
        }
    }
}

private final class Walk {
    private static let names = (0..<12).map { "d\($0)" }
    /// The daemon stops repairing a field that it has repaired five times within a minute.
    private static let driftsPerMinuteMax = 4

    let daemon: Daemon
    private(set) var log: [String] = []
    private var random: SeededGenerator
    private var wanted: [String: Wanted] = [:]
    private var deleting: Set<String> = []
    private let namespaces: [String]
    private var present: Set<Int> = [0, 1]
    private var drifts: [String: [Date]] = [:]
    private var count = 0

    init(seed: UInt64, directory: String) throws {
        random = SeededGenerator(seed: seed)
        namespaces = ["a", "b"].map { "tapster-test-\(seed)-\($0)" }
        for name in namespaces { try run("ip", "netns", "add", name) }
        try run("ip", "link", "add", "br0", "type", "bridge")
        daemon = try Daemon(directory: directory)
    }

    func end() {
        daemon.kill()
        for place in present { _ = try? run("ip", "netns", "del", namespaces[place]) }
    }

    func step() throws {
        count += 1
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<22: try create()
        case 22..<45: try change()
        case 45..<55: try delete()
        case 55..<62: try apply()
        case 62..<84: try drift()
        case 84..<87: try toggleNamespace()
        case 87..<89: try restart(kill: true)
        case 89..<90: try restart(kill: false)
        default: try check()
        }
    }

    // MARK: Users

    private func create() throws {
        guard
            let name = Self.names.filter({ wanted[$0] == nil && !deleting.contains($0) }).randomElement(using: &random)
        else { return }
        var device = Wanted()
        for _ in 0..<3 { device.change(name, anything: true, using: &random) }
        if Bool.random(using: &random) { device.access = "open" }
        try say("create \(name)")
        try send(
            "PUT", "/v1/devices/\(name)?\(wait(for: device))", #"{"spec": \#(device.document(namespaces))}"#,
            [201, 202])
        wanted[name] = device
    }

    private func change() throws {
        guard let name = wanted.keys.sorted().randomElement(using: &random), var device = wanted[name] else { return }
        device.change(name, anything: true, using: &random)
        try say("change \(name)")
        try send(
            "PATCH", "/v1/devices/\(name)?recreate=true&\(wait(for: device))",
            #"{"spec": \#(device.document(namespaces))}"#, [200, 202])
        wanted[name] = device
    }

    private func delete() throws {
        guard let name = wanted.keys.sorted().randomElement(using: &random) else { return }
        try say("delete \(name)")
        try send("DELETE", "/v1/devices/\(name)?\(wait(for: nil))", nil, [200, 202])
        wanted[name] = nil
        deleting.insert(name)
    }

    /// Changes half of the devices, creates some, and sometimes deletes all others.
    private func apply() throws {
        var document = wanted
        let prunes = Int.random(in: 0..<4, using: &random) == 0
        if prunes { for name in wanted.keys.sorted() where Bool.random(using: &random) { document[name] = nil } }
        for name in document.keys.sorted() where Bool.random(using: &random) {
            document[name]?.change(name, anything: false, using: &random)
        }
        for name in Self.names where document[name] == nil && wanted[name] == nil && !deleting.contains(name) {
            if Int.random(in: 0..<4, using: &random) == 0 { document[name] = Wanted() }
        }
        try say("apply to \(document.keys.sorted())\(prunes ? ", prune" : "")")
        let devices = document.sorted { $0.key < $1.key }.map { name, device in
            #"{"metadata": {"name": "\#(name)"}, "spec": \#(device.document(namespaces))}"#
        }
        try send(
            "POST", "/v1/apply?prune=\(prunes)", #"{"devices": [\#(devices.joined(separator: ","))]}"#, [200, 202])
        if prunes { deleting.formUnion(wanted.keys.filter { document[$0] == nil }) }
        wanted = document
    }

    /// Half of the time, unless the device cannot become Ready now.
    private func wait(for device: Wanted?) -> String {
        let isHome = device?.namespace.map(present.contains) ?? true
        return isHome && Bool.random(using: &random) ? "wait=5s" : "wait=0s"
    }

    private func send(_ method: String, _ target: String, _ body: String?, _ allowed: Set<Int>) throws {
        let answer = try daemon.send(method, target, json: body)
        guard allowed.contains(answer.status) else {
            throw TestFailure("\(method) \(target): \(answer.status) \(answer.text)")
        }
    }

    // MARK: External changes

    private func drift() throws {
        guard let name = wanted.keys.sorted().randomElement(using: &random), let device = wanted[name] else { return }
        let changes: [(field: String, command: [String])] = [
            ("mtu", ["link", "set", name, "mtu", "1300"]), ("down", ["link", "set", name, "down"]),
            ("up", ["link", "set", name, "up"]), ("length", ["link", "set", name, "txqueuelen", "77"]),
            ("alias", ["link", "set", name, "alias", "external"]), ("device", ["link", "del", name]),
            ("name", ["link", "set", name, "name", "stolen-\(name)"]),
            // Once: a flush would run again and remove the restored address.
            ("address", ["addr", "del", device.address ?? "10.1.1.1/24", "dev", name]),
            ("controller", ["link", "set", name, "nomaster"]),
            ("mac", ["link", "set", name, "address", "02:00:00:00:00:99"]),
        ]
        guard let change = changes.randomElement(using: &random) else { return }
        let recent = (drifts["\(name) \(change.field)"] ?? []).filter { $0.timeIntervalSinceNow > -60 }
        guard recent.count < Self.driftsPerMinuteMax else { return }
        drifts["\(name) \(change.field)"] = recent + [Date()]
        try say("ip \(change.command.joined(separator: " "))")
        // The interface may be missing; then the change has no effect.
        _ = try? run("ip", inside(device.namespace) + change.command)
    }

    private func toggleNamespace() throws {
        let place = Int.random(in: 0..<2, using: &random)
        try say("\(present.contains(place) ? "remove" : "add") namespace \(place)")
        try run("ip", "netns", present.contains(place) ? "del" : "add", namespaces[place])
        if present.remove(place) == nil { present.insert(place) }
    }

    private func restart(kill: Bool) throws {
        try say(kill ? "kill -9" : "stop")
        if kill { daemon.kill() } else { _ = daemon.stop() }
        try daemon.start()
    }

    private func inside(_ namespace: Int?) -> [String] { namespace.map { ["-n", namespaces[$0]] } ?? [] }

    private func say(_ text: String) throws { log.append("\(count) \(text)") }

    // MARK: The model

    /// Waits until the daemon and the kernel match the model.
    func check() throws {
        try say("check")
        // The kernel does not notify when the alias or the queue length of an interface that is down changes
        // (`netdev_state_change()`); a pass finds it.
        _ = try daemon.send("POST", "/v1/reconcile")
        var complaint = ""
        do {
            try eventually("the model", within: 15) {
                // `ip` fails if the state changes during its dump.
                do { complaint = try self.complaint() ?? "" } catch { complaint = "\(error)" }
                return complaint.isEmpty
            }
        } catch {
            throw TestFailure(complaint)
        }
        deleting = []
    }

    private func complaint() throws -> String? {
        let items = try daemon.send("GET", "/v1/devices")["items"] as? [[String: Any]] ?? []
        let views = Dictionary(
            items.map { (($0["metadata"] as? [String: Any])?["name"] as? String ?? "", $0) }
        ) { $1 }
        guard Set(views.keys) == Set(wanted.keys) else { return "the API has \(views.keys.sorted())" }
        for (name, device) in wanted {
            let status = views[name]?["status"] as? [String: Any] ?? [:]
            let isHome = device.namespace.map(present.contains) ?? true
            let conditions = status["conditions"] as? [[String: Any]] ?? []
            let ready = conditions.first { $0["type"] as? String == "Ready" }
            let reason = ready?["reason"] as? String ?? ""
            guard reason == (isHome ? "Converged" : "NamespaceMissing") else {
                return "\(name) is \(reason): \(ready?["message"] ?? "")"
            }
        }
        for place in [nil] + present.map({ Optional($0) }) {
            let here = wanted.filter { $0.value.namespace == place }
            let links = try links(in: place)
            guard Set(links.keys) == Set(here.keys) else {
                return "namespace \(place ?? -1) has \(links.keys.sorted())"
            }
            for (name, device) in here {
                if let field = Self.difference(device, links[name] ?? [:]) { return "\(name) has another \(field)" }
            }
        }
        return nil
    }

    private func links(in namespace: Int?) throws -> [String: [String: Any]] {
        let text = try run("ip", inside(namespace) + ["-d", "-j", "addr"])
        let links = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]] ?? []
        let named = Dictionary(links.map { ($0["ifname"] as? String ?? "", $0) }) { $1 }
        return named.filter { !["lo", "br0"].contains($0.key) }
    }

    private static func difference(_ device: Wanted, _ link: [String: Any]) -> String? {
        let tun = (link["linkinfo"] as? [String: Any])?["info_data"] as? [String: Any] ?? [:]
        let addresses = (link["addr_info"] as? [[String: Any]] ?? []).filter { $0["scope"] as? String == "global" }
            .map { "\($0["local"] ?? "")/\($0["prefixlen"] ?? "")" }
        let found: [(String, Bool)] = [
            ("kind", tun["type"] as? String == device.kind),
            ("vnetHeader", tun["vnet_hdr"] as? Bool == device.vnetHeader),
            ("persistence", tun["persist"] as? Bool == true),
            ("mtu", link["mtu"] as? Int == device.mtu),
            ("up", (link["flags"] as? [String])?.contains("UP") == device.up),
            ("alias", link["ifalias"] as? String == device.alias),
            ("altName", (link["altnames"] as? [String])?.first == device.altName),
            ("address", addresses.first == device.address && addresses.count < 2),
            ("length", link["txqlen"] as? Int == device.length),
            ("controller", (link["master"] as? String == "br0") == device.isInBridge),
            ("qdisc", link["qdisc"] as? String == "noqueue" || !device.up),
        ]
        return found.first { !$0.1 }?.0
    }
}
