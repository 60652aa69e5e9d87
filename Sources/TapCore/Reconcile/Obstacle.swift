/// Why Tapster does not change a device that differs from the wanted state.
public enum Obstacle: Hashable, Sendable {
    /// An interface that Tapster did not make has the name. With `adoption` `compatible`, the fields that do not match.
    case foreignDevice(kind: String?, index: LinkIndex, mismatches: [DeviceField])
    /// Another device of Tapster has the name, possibly as an alternative name.
    case nameTaken(by: DeviceName)
    /// The device's interface differs in fields that the kernel fixes at creation.
    case immutable([DeviceField])
    /// The bridge or VRF does not exist in the namespace.
    case controllerMissing(InterfaceName)
    /// The controller is neither a bridge nor a VRF, or the device's kind cannot join it.
    case controllerUnsuitable(InterfaceName, kind: String?)
    /// The bridge has the maximum number of ports.
    case controllerFull(InterfaceName)
    /// The interface belongs to another one, which does not release it by rtnetlink.
    case controllerHeld(String, kind: String?)
    /// The running kernel does not support the fields.
    case unsupported([DeviceField])
    /// An attached consumer has changed settings of the whole device.
    case inUse([DeviceField])
    /// The fields have drifted, and the device's drift policy is `report`.
    case reportOnly([DeviceField])
    /// Another process changes the fields repeatedly.
    case contested([DeviceField])

    /// The maximum number of ports of a bridge (`BR_MAX_PORTS` without the reserved zero, `net/bridge/br_private.h`).
    public static let bridgePortsMax = 1_023
}
