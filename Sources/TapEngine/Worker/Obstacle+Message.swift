package import TapCore

/// How conditions and events describe an obstacle.
extension Obstacle {
    /// Whether another interface or an external change conflicts with the spec (condition `Conflict`).
    var isConflict: Bool {
        switch self {
        case .foreignDevice, .nameTaken, .immutable, .contested, .controllerHeld: true
        case .controllerMissing, .controllerUnsuitable, .controllerFull, .unsupported, .inUse, .reportOnly: false
        }
    }

    /// The reason in the condition `Ready` and in events.
    package var reason: EventReason {
        switch self {
        case .foreignDevice: .foreignDevice
        case .nameTaken: .nameTaken
        case .immutable: .immutableField
        case .controllerMissing: .controllerMissing
        case .controllerUnsuitable: .controllerUnsuitable
        case .controllerFull: .controllerFull
        case .controllerHeld: .controllerHeld
        case .unsupported: .unsupported
        case .inUse: .inUse
        case .reportOnly: .driftReported
        case .contested: .contested
        }
    }

    /// Describes the obstacle, and what to do about it.
    package func message(for name: DeviceName) -> String {
        func list(_ fields: [DeviceField]) -> String { fields.map(\.rawValue).joined(separator: ", ") }
        switch self {
        case .foreignDevice(let kind, let index, let mismatches):
            let what =
                "interface '\(name)' (number \(index.rawValue), kind \(kind ?? "none")) exists, but Tapster did not "
            if !mismatches.isEmpty {
                return what
                    + "create it, and it cannot be adopted because these fields differ: \(list(mismatches)). Delete it "
                    + "('ip link del \(name)'), or change the spec to match it"
            }
            return what
                + "create it; it is left unchanged. Delete it ('ip link del \(name)'), choose another name, or set "
                + "adoption to 'compatible' to adopt it"
        case .nameTaken(let owner):
            return
                "device '\(owner)' already uses the name '\(name)', as its name or in its altNames; give one of them "
                + "another name"
        case .immutable(let fields):
            return
                "the interface's \(list(fields)) cannot be changed while it exists; PUT or PATCH with recreate=true, "
                + "or delete the device and create it again"
        case .controllerMissing(let controller):
            return
                "link.controller is '\(controller)', but no interface has that name; the device joins it as soon as it "
                + "exists"
        case .controllerUnsuitable(let controller, let kind):
            return
                "link.controller is '\(controller)', which is "
                + "\(kind.map { "of the kind '\($0)'" } ?? "not a virtual interface"); a tap can join a bridge or a "
                + "VRF, a tun only a VRF. For any other, set link.controllerPolicy to 'unmanaged' and let its own "
                + "program add the interface (for Open vSwitch: 'ovs-vsctl add-port')"
        case .controllerFull(let controller):
            return
                "the bridge '\(controller)' has \(Obstacle.bridgePortsMax) ports, the kernel's limit; use another "
                + "bridge"
        case .controllerHeld(let controller, let kind): return Self.held(by: controller, kind, name)
        case .unsupported(let fields):
            return
                "the running kernel does not support \(list(fields)); set it to null, or run a kernel that supports "
                + "it. All other fields are as wanted"
        case .inUse(let fields):
            return
                "changed by the consumer that has the device open, and repaired when it has closed it: \(list(fields))"
        case .reportOnly(let fields):
            return "changed outside Tapster, and not repaired since driftPolicy is 'report': \(list(fields))"
        case .contested(let fields):
            return
                "\(list(fields)) keeps being changed outside Tapster; after \(RepairBudget.repairsMax) repairs it is "
                + "repaired again when it has been left alone for \(RepairBudget.waitSecondsMin) s, and each time "
                + "twice as long, up to \(RepairBudget.waitSecondsMax) s. Find what changes it, or change the spec to "
                + "match"
        }
    }

    private static func held(by controller: String, _ kind: String?, _ name: DeviceName) -> String {
        let unmanaged = "set link.controllerPolicy to 'unmanaged' and link.controller to null"
        if kind == "openvswitch" {
            return
                "the interface is a port of Open vSwitch ('\(controller)'), and only Open vSwitch can remove it: "
                + "'ovs-vsctl del-port \(name)'. To leave it there, \(unmanaged)"
        }
        return
            "the interface belongs to '\(controller)' (\(kind ?? "no virtual interface")), which does not release it; "
            + "remove it by that program's own means, or \(unmanaged)"
    }
}
