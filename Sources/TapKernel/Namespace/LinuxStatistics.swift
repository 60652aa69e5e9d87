internal import Synchronization
internal import TapCore
internal import TapSystem

/// Reads the counters over a socket of its own, so that a dump does not wait for a long batch of the worker.
final class LinuxStatistics: LinkStatisticsSource {
    let host: NamespaceIdentity
    private let netlink: Mutex<NetlinkSocket>

    /// - Throws: EMFILE, ENFILE, ENOBUFS.
    fileprivate init(_ host: NamespaceIdentity, in handle: NamespaceHandle?) throws(Errno) {
        self.host = host
        netlink = try handle.inside { () throws(Errno) in Mutex(try NetlinkSocket()) }
    }

    func read() throws(KernelError) -> [LinkIndex: LinkStatistics] {
        do throws(NetlinkRefusal) {
            let all = try netlink.withLock { (netlink) throws(NetlinkRefusal) in try netlink.statistics() }
            return Dictionary(all, uniquingKeysWith: { $1 })
        } catch {
            throw KernelError("read_statistics", error)
        }
    }
}

extension LinuxNamespace {
    func statistics() throws(KernelError) -> any LinkStatisticsSource {
        do throws(Errno) { return try LinuxStatistics(host, in: handle) } catch {
            throw KernelError("open_statistics", error)
        }
    }
}
