internal import TapCore

/// How the condition `AddressesUsable` describes addresses.
extension AddressUse {
    /// The condition's reason.
    var reason: String {
        switch self {
        case .usable: "Usable"
        case .missing: "Missing"
        case .waitingForCarrier: "NoCarrier"
        case .detecting: EventReason.detectingDuplicates.rawValue
        case .duplicate: EventReason.duplicateAddress.rawValue
        }
    }

    /// Describes the state, and what to do about it.
    var message: String {
        func list(_ addresses: [InterfaceAddress]) -> String { addresses.map(\.description).joined(separator: ", ") }
        switch self {
        case .usable: return "programs can use all addresses of the spec"
        case .missing(let addresses): return "not on the interface: \(list(addresses))"
        case .waitingForCarrier(let addresses):
            return
                "the kernel uses \(list(addresses)) once a consumer has attached and duplicate address detection has "
                + "ended; link.duplicateAddressDetection: false, or link.carrier: on, makes them usable without one"
        case .detecting(let addresses):
            return "duplicate address detection still runs for \(list(addresses))"
        case .duplicate(let addresses):
            return
                "another host on the link, such as the consumer's guest, answers for \(list(addresses)); remove the "
                + "address there or here. It is tried again when the consumer changes, and now and then"
        }
    }
}
