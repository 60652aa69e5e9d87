/// A setting of a bridge's port, which programs other than Tapster make (`bridge link set`, bridge(8)). The kernel
/// drops it when the port leaves the bridge.
public struct BridgePortSetting: Hashable, Sendable, CustomStringConvertible {
    /// What it sets; the raw value is the attribute's number, an `IFLA_BRPORT_` of `linux/if_link.h`.
    public enum Kind: UInt16, CaseIterable, Hashable, Sendable {
        case priority = 2
        case cost = 3
        case hairpin = 4
        case guardBPDU = 5
        case rootBlock = 6
        case fastLeave = 7
        case learning = 8
        case flood = 9
        case proxyARP = 10
        case proxyARPWiFi = 12
        case multicastRouter = 25
        case multicastFlood = 27
        case multicastToUnicast = 28
        case vlanTunnel = 29
        case broadcastFlood = 30
        case groupForwardMask = 31
        case neighbourSuppression = 32
        case isolated = 33
        case backupPort = 34
        case multicastHostsMax = 37
        case locked = 39
        case macAuthenticationBypass = 40
        case multicastGroupsMax = 42
        case neighbourVLANSuppression = 43

        /// The size of the attribute's value in bytes (`br_port_policy` in `net/bridge/br_netlink.c`).
        public var bytes: Int {
            switch self {
            case .cost, .backupPort, .multicastHostsMax, .multicastGroupsMax: 4
            case .priority, .groupForwardMask: 2
            default: 1
            }
        }

        /// Whether it is on or off. All of these are set together, before anything that may be refused.
        public var isFlag: Bool { bytes == 1 && self != .multicastRouter }

        /// The values of a port that has just joined (`new_nbp()` in `net/bridge/br_if.c`). The cost depends on the
        /// speed, which is 10 Mb/s, or 10 Gb/s on newer kernels (`port_cost()`).
        fileprivate var initial: [UInt32] {
            switch self {
            case .priority: [32]
            case .cost: [100, 2]
            case .learning, .flood, .multicastRouter, .multicastFlood, .broadcastFlood: [1]
            case .multicastHostsMax: [512]
            default: [0]
            }
        }
    }

    /// What it sets.
    public let kind: Kind
    /// For flags, 1 is on.
    public let value: UInt32

    public init(_ kind: Kind, _ value: UInt32) {
        self.kind = kind
        self.value = value
    }

    /// Whether a port has this value without anybody's doing.
    public var isInitial: Bool { kind.initial.contains(value) }

    /// For messages.
    public var description: String { kind.isFlag ? "\(kind) \(value == 1 ? "on" : "off")" : "\(kind) \(value)" }
}
