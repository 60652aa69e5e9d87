extension DeviceSpec {
    /// `NAME_MAX` of `linux/limits.h`.
    private static let fileNameBytesMax = 255

    /// Names in the spec that no interface and no namespace can have, so that the device could never become Ready. They
    /// are refused in requests; specs that were stored before may have them.
    public var impossibleNames: [SpecContradictions.Contradiction] {
        var found: [SpecContradictions.Contradiction] = []
        if let controller = draft.link.controller?.text, let reason = Self.reason(against: controller) {
            found.append(.init(.controller, "no interface can be named '\(controller)': \(reason)"))
        }
        for name in draft.link.altNames.map(\.text) where name == "lo" || name == draft.link.controller?.text {
            let other = name == "lo" ? "the loopback interface of each network namespace" : "the device's controller"
            found.append(.init(.altNames, "'\(name)' is the name of \(other), so no other interface can have it"))
        }
        if let path = draft.networkNamespace?.path {
            let names = path.split(separator: "/", omittingEmptySubsequences: true)
            if path.utf8.last == UInt8(ascii: "/") {
                found.append(.init(.networkNamespace, "the path ends in '/'; it must be that of a namespace's file"))
            } else if names.contains(where: { $0.utf8.count > Self.fileNameBytesMax }) {
                found.append(
                    .init(
                        .networkNamespace, "a name in the path has more than \(Self.fileNameBytesMax) bytes (NAME_MAX)")
                )
            }
        }
        return found
    }

    /// Why the kernel refuses an interface's name that `InterfaceName` accepts; `nil` if it does not.
    private static func reason(against name: String) -> String? {
        // `sysctl_dev_name_is_allowed()` in `net/ipv4/devinet.c` and `net/ipv6/addrconf.c`.
        if name == "all" || name == "default" { return "the kernel reserves it (/proc/sys/net/ipv4/conf)" }
        // `__dev_alloc_name()`
        if name.utf8.contains(UInt8(ascii: "%")) { return "the kernel replaces '%d' and refuses any other '%'" }
        // `isspace()` of the kernel is that of Latin-1.
        if name.utf8.contains(0xA0) { return "the kernel takes the byte A0, which its UTF-8 has, for a space" }
        return nil
    }
}
