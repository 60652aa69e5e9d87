internal import CLinux
internal import TapCore

/// Decodes rtnetlink's address messages (rtnetlink(7)). Pure, as `LinkMessage` is.
enum AddressMessage {
    /// `IFA_PROTO` of the addresses that Tapster adds: "t". The kernel stores it with the address, so that Tapster
    /// recognises its own after a restart. Numbers up to 3 are the kernel's own (`IFAPROT_` in `linux/if_addr.h`).
    static let origin: UInt8 = 0x74

    /// Decodes an `RTM_NEWADDR`; `nil` if it has no IPv4 or IPv6 address.
    ///
    ///     struct ifaddrmsg: | family 1 | prefix length 1 | flags 1 | scope 1 | interface 4 |
    static func decode(_ payload: RawSpan) throws(MalformedNetlink) -> (LinkIndex, ObservedAddress)? {
        let family = Int32(try payload.load(UInt8.self))
        guard family == AF_INET || family == AF_INET6 else { return nil }
        let prefixLength = Int(try payload.load(UInt8.self, at: 1))
        let index = LinkIndex(rawValue: try payload.load(Int32.self, at: 4))
        var address: [UInt8]?
        var local: [UInt8]?
        let flags = Int32(try payload.load(UInt8.self, at: 2))
        var origin = ObservedAddress.Origin.other
        try walkAttributes(payload, from: headerBytes) { (type, value) throws(MalformedNetlink) in
            switch type {
            case Int(IFA_ADDRESS): address = value.byteArray()
            // On a link with a peer, `IFA_ADDRESS` is the peer's.
            case Int(IFA_LOCAL): local = value.byteArray()
            case Int(IFA_PROTO):
                switch try value.load(UInt8.self) {
                case Self.origin: origin = .tapster
                case 1...kernelOriginMax: origin = .kernel
                default: break
                }
            default: break
            }
        }
        guard let bytes = local ?? address,
            let found = InterfaceAddress(bytes: bytes, prefixLength: prefixLength)
        else { return nil }
        return (index, ObservedAddress(found, origin: origin, use: use(flags)))
    }

    private static func use(_ flags: Int32) -> ObservedAddress.Use {
        if flags & IFA_F_DADFAILED != 0 { return .duplicate }
        return flags & IFA_F_TENTATIVE != 0 && flags & IFA_F_OPTIMISTIC == 0 ? .tentative : .usable
    }

    /// `IFAPROT_KERNEL_LL`, the highest of the kernel's own.
    private static let kernelOriginMax: UInt8 = 3

    /// `sizeof(struct ifaddrmsg)`.
    private static let headerBytes = 8
}
