/// A field of a device that can differ between the spec and the kernel; the raw value is its path in the spec.
///
/// The set is closed, which bounds the values of a metric label.
public enum DeviceField: String, CaseIterable, Hashable, Sendable {
    /// The device itself, when it is missing.
    case device
    case name
    case kind
    case multiQueue
    case packetInfo
    case vnetHeader
    case vnetHeaderSize
    case offloads
    case networkNamespace
    case napi
    case napiFrags
    case sendBuffer = "sendBufferBytes"
    case owner
    case group
    /// `IFF_PERSIST`; not in the spec, always wanted.
    case persistent
    /// The detached descriptor that Tapster holds (`WantedDevice.wantsAnchor`); not in the spec.
    case anchor
    case mtu = "link.mtu"
    case macAddress = "link.macAddress"
    case transmitQueueLength = "link.txQueueLength"
    case up = "link.up"
    case gsoMaxBytes = "link.gsoMaxBytes"
    case gsoIPv4MaxBytes = "link.gsoIPv4MaxBytes"
    case queueDiscipline = "link.queueDiscipline"
    case carrier = "link.carrier"
    case controller = "link.controller"
    case alias = "link.alias"
    case altNames = "link.altNames"
    case addresses = "link.addresses"
    case ipv6 = "link.ipv6"

    /// Whether consumers negotiate it with their guests; it is set again when they have gone.
    public var isSetByConsumers: Bool { self == .vnetHeaderSize || self == .offloads }

    /// Whether any process that has a queue may change it, even without privilege (`TUNSETOWNER`, `TUNSETGROUP`,
    /// `TUNSETPERSIST`), and so decide who may open further queues.
    public var decidesAccess: Bool { self == .owner || self == .group || self == .persistent }

    private static let linkPrefix = "link."

    /// The last part of the path, such as `mtu`: the key in its JSON object.
    public var key: String {
        rawValue.hasPrefix(Self.linkPrefix) ? String(rawValue.dropFirst(Self.linkPrefix.utf8.count)) : rawValue
    }

    /// JSON pointer to the field in a device document (RFC 6901).
    public var pointer: String {
        "/spec/" + rawValue.split(separator: ".").joined(separator: "/")
    }
}
