import Foundation

/// Runs a program in another network namespace and waits until it has ended.
@discardableResult
public func run(in namespace: String?, _ words: [String]) throws -> String {
    guard let namespace else { return try run(words[0], Array(words.dropFirst())) }
    return try run("nsenter", ["--net=\(namespace)"] + words)
}

/// All interfaces as shown by `ip`, once the kernel reports the operational state of each, which it does with a delay.
public func settledInterfaces(in namespace: String? = nil) throws -> String {
    var text = ""
    try eventually("all operational states are known") {
        text = try run(in: namespace, ["ip", "-j", "link"])
        return !text.contains(#""operstate":"UNKNOWN""#)
    }
    return text
}

/// An interface as shown by `ip`, in the calling thread's network namespace or in another one.
public struct Interface {
    private let link: [String: Any]

    /// `nil` if there is no interface of this name; `namespace` is the path of another namespace's file.
    public init?(_ name: String, in namespace: String? = nil) throws {
        let words = ["ip", "-d", "-s", "-s", "-j", "address", "show", "dev", name]
        guard let text = try? run(in: namespace, words),
            let links = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]],
            let link = links.first(where: { $0["ifname"] != nil })
        else { return nil }
        self.link = link
    }

    /// The interface index.
    public var index: Int? { link["ifindex"] as? Int }
    /// The name.
    public var name: String? { link["ifname"] as? String }
    /// In bytes.
    public var mtu: Int? { link["mtu"] as? Int }
    /// In lower case.
    public var macAddress: String? { link["address"] as? String }
    /// In packets.
    public var transmitQueueLength: Int? { link["txqlen"] as? Int }
    /// `gso_max_size`, in bytes.
    public var gsoMaxBytes: Int? { link["gso_max_size"] as? Int }
    /// The name of the root queue discipline.
    public var queueDiscipline: String? { link["qdisc"] as? String }
    /// The alias; `nil` if none.
    public var alias: String? { link["ifalias"] as? String }
    /// The name of the bridge or VRF; `nil` if none.
    public var controller: String? { link["master"] as? String }
    /// All alternative names, sorted.
    public var altNames: [String] { (link["altnames"] as? [String] ?? []).sorted() }
    /// Whether it is administratively up.
    public var isUp: Bool { flags.contains("UP") }
    /// Whether it is up and has a carrier.
    public var hasCarrier: Bool { isUp && flags.contains("LOWER_UP") }
    /// How often the carrier appeared or disappeared.
    public var carrierChanges: Int? {
        let statistics = (link["stats64"] as? [String: Any])?["tx"] as? [String: Any]
        return statistics?["carrier_changes"] as? Int
    }

    /// The addresses with their prefix lengths, without those that the kernel added by itself.
    public var addresses: [String] { shown(where: { $0 != "link" }) }
    /// The addresses that the kernel added by itself, with their prefix lengths.
    public var linkLocalAddresses: [String] { shown(where: { $0 == "link" }) }

    /// An entry of `IFLA_INFO_DATA` of a tap or tun: `user`, `group`, `type`, `pi`, `numqueues`…
    public func tun(_ key: String) -> String? {
        let data = (link["linkinfo"] as? [String: Any])?["info_data"] as? [String: Any]
        return data?[key].map { "\($0)" }
    }

    private var flags: [String] { link["flags"] as? [String] ?? [] }

    private func shown(where belongs: (String) -> Bool) -> [String] {
        let addresses = link["addr_info"] as? [[String: Any]] ?? []
        return addresses.filter { belongs($0["scope"] as? String ?? "") }.map {
            "\($0["local"] ?? "")/\($0["prefixlen"] ?? "")"
        }.sorted()
    }
}
