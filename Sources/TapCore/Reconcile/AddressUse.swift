/// Whether programs can use the spec's addresses (bind(2)). The kernel refuses an IPv6 address until other hosts have
/// had the time to say that they have it (duplicate address detection, RFC 4862).
public enum AddressUse: Hashable, Sendable {
    /// All of them; also if there are none.
    case usable
    /// These are not on the interface.
    case missing([InterfaceAddress])
    /// These wait for a carrier: the detection begins when a consumer attaches.
    case waitingForCarrier([InterfaceAddress])
    /// The detection runs for these.
    case detecting([InterfaceAddress])
    /// Another host has these.
    case duplicate([InterfaceAddress])

    /// Whether the addresses are as usable as they can be without a consumer.
    public var isReady: Bool {
        switch self {
        case .usable, .waitingForCarrier: true
        case .missing, .detecting, .duplicate: false
        }
    }
}

extension WantedDevice {
    /// Whether programs can use the spec's addresses on `link`, the device's interface; `nil` if there is none.
    public func addressUse(of link: ObservedLink?, in namespace: ObservedNamespace) -> AddressUse {
        let wanted = spec.draft.link.addresses
        guard !wanted.isEmpty else { return .usable }
        guard let link else { return .missing(wanted) }
        let observed = namespace.addresses[link.index] ?? []
        func among(_ use: ObservedAddress.Use?) -> [InterfaceAddress] {
            wanted.filter { wanted in observed.first { $0.address == wanted }?.use == use }
        }
        let (missing, duplicate, tentative) = (among(nil), among(.duplicate), among(.tentative))
        if !missing.isEmpty { return .missing(missing) }
        if !duplicate.isEmpty { return .duplicate(duplicate) }
        if !tentative.isEmpty { return link.carrier ? .detecting(tentative) : .waitingForCarrier(tentative) }
        return .usable
    }

    /// Removes and adds addresses that cannot be used, so that the kernel begins anew with them: those that another
    /// host had only if `retriesDuplicates`. Empty if there is nothing to do.
    func stepsToRenewAddresses(
        of link: ObservedLink, in namespace: ObservedNamespace, retriesDuplicates: Bool
    ) -> [Step] {
        let detects = spec.draft.link.duplicateAddressDetection
        return (namespace.addresses[link.index] ?? []).filter { found in
            guard found.use != .usable, spec.draft.link.addresses.contains(found.address) else { return false }
            return !detects || found.use == .duplicate && retriesDuplicates
        }.flatMap { [.removeAddress($0.address), .addAddress($0.address, detectsDuplicates: detects)] }
    }
}
