/// A field of a device that can differ between the spec and the kernel; the raw value is its path in the spec.
///
/// A closed set, so that a metric's label stays bounded.
public enum DeviceField: String, CaseIterable, Hashable, Sendable {
    /// The whole device is missing.
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
    case persistent
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

    /// Whether who has an open device's queue may set it, so that its repair is no fight.
    public var isSetByConsumers: Bool { self == .vnetHeaderSize || self == .offloads }

    private static let linkPrefix = "link."

    /// Its name in the object that has it, such as `mtu`.
    public var key: String {
        rawValue.hasPrefix(Self.linkPrefix) ? String(rawValue.dropFirst(Self.linkPrefix.utf8.count)) : rawValue
    }

    /// The field's place in a device's JSON document (RFC 6901).
    public var pointer: String {
        "/spec/" + rawValue.split(separator: ".").joined(separator: "/")
    }
}
