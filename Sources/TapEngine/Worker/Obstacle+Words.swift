package import TapCore

/// What people and their programs are told of an obstacle.
extension Obstacle {
    /// Whether somebody else stands against us.
    var isConflict: Bool {
        switch self {
        case .foreignDevice, .nameTaken, .immutable, .contested: true
        case .controllerMissing, .controllerUnsuitable, .controllerFull, .unsupported, .inUse, .reportOnly: false
        }
    }

    /// One word for machines.
    package var reason: EventReason {
        switch self {
        case .foreignDevice: .foreignDevice
        case .nameTaken: .nameTaken
        case .immutable: .immutableField
        case .controllerMissing: .controllerMissing
        case .controllerUnsuitable: .controllerUnsuitable
        case .controllerFull: .controllerFull
        case .unsupported: .unsupported
        case .inUse: .inUse
        case .reportOnly: .driftReported
        case .contested: .contested
        }
    }

    /// What is in the way, and what to do.
    package func message(for name: DeviceName) -> String {
        func list(_ fields: [DeviceField]) -> String { fields.map(\.rawValue).joined(separator: ", ") }
        switch self {
        case .foreignDevice(let kind, let index, let mismatches):
            let what = "an interface '\(name)' (number \(index.rawValue), kind \(kind ?? "none")) exists that Tapster "
            if !mismatches.isEmpty {
                return what
                    + "did not make, and it cannot be adopted, since these differ: \(list(mismatches)). Remove it "
                    + "('ip link del \(name)'), or state what it is"
            }
            return what
                + "did not make; it is left alone. Remove it ('ip link del \(name)'), state another name, or state "
                + "adoption: compatible to take it over"
        case .nameTaken(let owner):
            return
                "device '\(owner)' has the name '\(name)', or has it among its altNames; give one of them another name"
        case .immutable(let fields):
            return
                "the interface's \(list(fields)) cannot be changed while it exists; PUT or PATCH with recreate=true, "
                + "or delete the device and create it again"
        case .controllerMissing(let controller):
            return
                "link.controller is '\(controller)', but there is no such interface; the device joins as soon as there "
                + "is"
        case .controllerUnsuitable(let controller, let kind):
            return
                "link.controller is '\(controller)', which is \(kind.map { "a \($0)" } ?? "no virtual interface"); a "
                + "tap joins a bridge or a VRF, a tun a VRF"
        case .controllerFull(let controller):
            return
                "the bridge '\(controller)' has \(Obstacle.bridgePortsMax) ports, which is all that the kernel gives "
                + "one; use another bridge"
        case .unsupported(let fields):
            return
                "the running kernel does not have \(list(fields)); set it to null, or run a kernel that has it. All "
                + "else is as stated"
        case .inUse(let fields):
            return "changed by the consumer that has the device open, and put back when it has gone: \(list(fields))"
        case .reportOnly(let fields):
            return "changed by somebody else, and left so since driftPolicy is 'report': \(list(fields))"
        case .contested(let fields):
            return "somebody changes \(list(fields)) again and again; after \(RepairBudget.repairsMax) repairs within "
                + "\(RepairBudget.windowSeconds) s it is left so for a while. Find the other controller, or state what "
                + "it wants"
        }
    }
}
