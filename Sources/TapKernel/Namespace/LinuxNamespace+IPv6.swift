internal import Glibc
internal import TapCore
internal import TapSystem

// Settings of IPv6 that rtnetlink cannot set: files in /proc/sys/net, which shows the namespace of the thread.
extension LinuxNamespace {
    func setIPv6(_ settings: IPv6Settings, of index: LinkIndex) throws(Errno) {
        let name = try name(of: index)
        // No interface has these names: they stand for all interfaces, and for new ones.
        guard name != "all", name != "default" else { throw .noDevice }
        try handle.inside { () throws(Errno) in
            let folder = try FileDescriptor(opening: "\(Self.ipv6Path)/\(name)", flags: O_RDONLY | O_DIRECTORY)
            // Another interface may have got the name meanwhile. From here on the folder stays that of the interface.
            guard try self.index(of: name) == index else { throw .noDevice }
            for (file, value) in settings.files {
                try FileDescriptor(opening: file, in: folder, flags: O_WRONLY).write(Array("\(value)".utf8), at: 0)
            }
        }
    }

    func removeLearnedRoutes(of index: LinkIndex) throws(Errno) {
        do throws(NetlinkRefusal) {
            let routes = try netlink.learnedRoutes(of: index)
            for refusal in netlink.change(routes.map { .removeRoute($0) }) {
                // It has expired meanwhile.
                if let refusal, refusal.errno != .noProcess { throw refusal }
            }
        } catch {
            throw error.errno
        }
    }

    func ipDefaults() -> IPSettings? {
        try? handle.inside { () throws(Errno) -> IPSettings? in
            guard let redirects = Self.number("/proc/sys/net/ipv4/conf/default/accept_redirects") else { return nil }
            func number(_ file: String) -> Int32? { Self.number("\(Self.ipv6Path)/default/\(file)") }
            guard let mode = number("addr_gen_mode"), let advertisements = number("accept_ra"),
                let autoconfiguration = number("autoconf"), let ipv6Redirects = number("accept_redirects"),
                let isDisabled = number("disable_ipv6")
            else { return IPSettings(acceptsIPv4Redirects: redirects, ipv6: nil) }
            return IPSettings(
                acceptsIPv4Redirects: redirects,
                ipv6: IPv6Settings(
                    addressGeneration: mode, acceptsRouterAdvertisements: advertisements,
                    autoconfiguration: autoconfiguration, acceptsRedirects: ipv6Redirects, isDisabled: isDisabled))
        }
    }

    private static func number(_ path: String) -> Int32? {
        guard let file = try? FileDescriptor(opening: path, flags: O_RDONLY),
            let bytes = try? file.read(upTo: numberBytesMax, at: 0)
        else { return nil }
        return Int32(String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self))
    }

    static func ipv6Advice(_ errno: Errno) -> String? {
        switch errno {
        case .readOnly, .accessDenied, .noPermission:
            "the daemon must be able to write below \(ipv6Path), for which deploy/tapster.service has "
                + "ReadWritePaths=, and deploy/network-namespaces.conf for other namespaces; or set link.ipv6 to "
                + "'kernelDefault'"
        default: nil
        }
    }

    private static let ipv6Path = "/proc/sys/net/ipv6/conf"
    private static let numberBytesMax = 16
}
