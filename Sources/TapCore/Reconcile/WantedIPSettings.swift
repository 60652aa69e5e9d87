/// What packets from the interface may configure: `LinkSpec.ipv6` as settings of the kernel.
extension WantedDevice {
    /// The wanted settings; `nil` if the present ones are right, whatever they are.
    func ipSettings(of link: ObservedLink, in namespace: ObservedNamespace) -> IPSettings? {
        guard let defaults = namespace.defaults else { return nil }
        switch spec.draft.link.ipv6 {
        case .stated, .off:
            // Below that MTU the kernel takes IPv6 from the interface, and makes it anew, with its defaults, above.
            let willHaveIPv6 =
                spec.draft.link.mtu.value >= DeviceSpecDraft.ipv6MTUMin
                && (link.ip?.ipv6 != nil || link.mtu < DeviceSpecDraft.ipv6MTUMin && defaults.ipv6 != nil)
            return IPSettings(
                acceptsIPv4Redirects: 0,
                ipv6: willHaveIPv6 ? .closed(isDisabled: !usesClosedIPv6) : nil)
        case .kernelDefault:
            // Takes back, once, what an earlier spec had Tapster set.
            guard !isReached, link.ip?.ipv6?.isClosed == true, defaults.ipv6?.isClosed == false else { return nil }
            return defaults
        }
    }

    /// Whether IPv6 is on, and closed.
    var usesClosedIPv6: Bool {
        spec.draft.link.ipv6 == .stated && spec.draft.link.addresses.contains(where: \.isIPv6)
    }

    /// The settings that differ, and the addresses that the kernel has added by itself.
    func ipDifference(of link: ObservedLink, in namespace: ObservedNamespace) -> Difference? {
        guard var observed = link.ip, var wanted = ipSettings(of: link, in: namespace) else { return nil }
        if observed.ipv6 == nil || wanted.ipv6 == nil { (observed.ipv6, wanted.ipv6) = (nil, nil) }
        // Without IPv6 there is no link-local address. NetworkManager sets it for each interface that it sees, also for
        // those that it does not manage.
        if observed.ipv6?.isDisabled == 1, let mode = observed.ipv6?.addressGeneration, wanted.ipv6?.isDisabled == 1 {
            wanted.ipv6?.addressGeneration = mode
        }
        let learned = learnedAddresses(of: link, in: namespace)
        guard observed != wanted || !learned.isEmpty else { return nil }
        let pairs = zip(wanted.words, observed.words).filter { $0 != $1 }
        return Difference(
            .ipv6, wanted: .words(pairs.map(\.0)),
            observed: .words(pairs.map(\.1) + learned.map { "address \($0)" }))
    }

    /// Addresses that the kernel has made from its link-local prefix or from router advertisements, and that do not go
    /// by themselves with IPv6.
    func learnedAddresses(of link: ObservedLink, in namespace: ObservedNamespace) -> [InterfaceAddress] {
        guard usesClosedIPv6 else { return [] }
        return (namespace.addresses[link.index] ?? []).filter { $0.address.isIPv6 && $0.origin == .kernel }
            .map(\.address)
    }
}
