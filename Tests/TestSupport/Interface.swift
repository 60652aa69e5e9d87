import Foundation

/// Runs a program to its end in another network namespace.
@discardableResult
public func run(in namespace: String?, _ words: [String]) throws -> String {
    guard let namespace else { return try run(words[0], Array(words.dropFirst())) }
    return try run("nsenter", ["--net=\(namespace)"] + words)
}

/// All interfaces as `ip` shows them, when the kernel knows the operational state of each: it takes its time for that.
public func settledInterfaces(in namespace: String? = nil) throws -> String {
    var text = ""
    try eventually("all operational states are known") {
        text = try run(in: namespace, ["ip", "-j", "link"])
        return !text.contains(#""operstate":"UNKNOWN""#)
    }
    return text
}

/// An interface as `ip` shows it, in the calling thread's network namespace or in another one.
public struct Interface {
    private let link: [String: Any]

    /// Nothing when there is none of this name; `namespace` is the path of another namespace's file.
    public init?(_ name: String, in namespace: String? = nil) throws {
        let words = ["ip", "-d", "-s", "-s", "-j", "address", "show", "dev", name]
        guard let text = try? run(in: namespace, words),
            let links = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]],
            let link = links.first(where: { $0["ifname"] != nil })
        else { return nil }
        self.link = link
    }

    public var index: Int? { link["ifindex"] as? Int }
    public var name: String? { link["ifname"] as? String }
    public var mtu: Int? { link["mtu"] as? Int }
    public var macAddress: String? { link["address"] as? String }
    public var transmitQueueLength: Int? { link["txqlen"] as? Int }
    public var gsoMaxBytes: Int? { link["gso_max_size"] as? Int }
    public var queueDiscipline: String? { link["qdisc"] as? String }
    public var alias: String? { link["ifalias"] as? String }
    public var controller: String? { link["master"] as? String }
    public var altNames: [String] { (link["altnames"] as? [String] ?? []).sorted() }
    public var isUp: Bool { flags.contains("UP") }
    /// Whether it is up and has a carrier.
    public var hasCarrier: Bool { isUp && flags.contains("LOWER_UP") }
    /// How often the carrier came or went.
    public var carrierChanges: Int? {
        let statistics = (link["stats64"] as? [String: Any])?["tx"] as? [String: Any]
        return statistics?["carrier_changes"] as? Int
    }

    /// With their prefix lengths, but for those that the kernel gave itself.
    public var addresses: [String] { told(where: { $0 != "link" }) }
    public var linkLocalAddresses: [String] { told(where: { $0 == "link" }) }

    /// What `IFLA_INFO_DATA` says of a tap or tun: `user`, `group`, `type`, `pi`, `numqueues`…
    public func tun(_ key: String) -> String? {
        let data = (link["linkinfo"] as? [String: Any])?["info_data"] as? [String: Any]
        return data?[key].map { "\($0)" }
    }

    private var flags: [String] { link["flags"] as? [String] ?? [] }

    private func told(where belongs: (String) -> Bool) -> [String] {
        let addresses = link["addr_info"] as? [[String: Any]] ?? []
        return addresses.filter { belongs($0["scope"] as? String ?? "") }.map {
            "\($0["local"] ?? "")/\($0["prefixlen"] ?? "")"
        }.sorted()
    }
}
