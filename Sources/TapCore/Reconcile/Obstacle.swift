/// Why a device is left alone although it is not as wanted.
public enum Obstacle: Hashable, Sendable {
    /// Somebody else's interface has the name; where it might have been adopted, the fields that do not fit.
    case foreignDevice(kind: String?, index: LinkIndex, mismatches: [DeviceField])
    /// Another device of ours has the name, perhaps as an alternative one.
    case nameTaken(by: DeviceName)
    /// The device is ours, but something that the kernel fixes at creation is not as wanted.
    case immutable([DeviceField])
    /// The bridge or VRF does not exist in the namespace.
    case controllerMissing(InterfaceName)
    /// It exists, but is neither bridge nor VRF, or the device's kind cannot join it.
    case controllerUnsuitable(InterfaceName, kind: String?)
    /// The bridge has all the ports that the kernel gives it.
    case controllerFull(InterfaceName)
    /// The running kernel does not have the fields.
    case unsupported([DeviceField])
    /// A consumer that is attached has changed what belongs to the whole device.
    case inUse([DeviceField])
    /// The device's drift policy is to report.
    case reportOnly([DeviceField])
    /// Somebody changes the fields again and again.
    case contested([DeviceField])

    /// The most ports of a bridge (`BR_MAX_PORTS` less the reserved number zero, `net/bridge/br_private.h`).
    public static let bridgePortsMax = 1_023
}
