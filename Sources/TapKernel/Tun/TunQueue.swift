internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// One queue of a tap or tun device: an open file description of `/dev/net/tun`, attached to the device. It is leased
/// to a consumer, serves as the device's anchor, or is used by a plan to change the device.
///
/// See `Documentation/networking/tuntap.rst` and `linux/if_tun.h`. The calls take the kernel's RTNL lock, and throw
/// EBADF once the queue is closed. Used on the worker's thread only.
final class TunQueue: KernelQueue {
    private static let path = "/dev/net/tun"

    /// `nil` once closed.
    private var descriptor: FileDescriptor?
    /// The service manager's copy, which keeps the queue in the kernel when this process ends.
    private var copy: Copy?

    private struct Copy {
        let manager: ServiceManager
        let name: String
    }

    /// Creates a device, which the kernel removes with this queue unless `persist()` was called.
    ///
    /// - Throws: EBUSY if an interface has the name; EPERM without `CAP_NET_ADMIN`.
    init(creating name: DeviceName, flags: CreationFlags, in handle: NamespaceHandle?) throws(Errno) {
        // No carrier: this queue is not read, so packets sent to it would be lost.
        descriptor = try Self.open(name.text, bits: flags.bits | IFF_TUN_EXCL | IFF_NO_CARRIER, in: handle)
    }

    /// Attaches to the interface called `name`, or creates it if there is none: check its index afterwards.
    ///
    /// - Throws: EINVAL if kind or multiqueue differ; EBUSY if its only queue is in use; E2BIG if it has 256 queues.
    init(
        attachingTo name: String, flags: CreationFlags, carrier: Bool, in handle: NamespaceHandle?
    ) throws(Errno) {
        // The kernel would attach a former consumer's packet filter again, which lies at an address of that process.
        let bits = flags.bits | IFF_NOFILTER | (carrier ? 0 : IFF_NO_CARRIER)
        descriptor = try Self.open(name, bits: bits, in: handle)
    }

    /// Takes over a queue that a former process of the service had opened. The descriptor is moved out of `kept`, since
    /// the caller may hold that object for longer than the queue is to stay open.
    ///
    /// - Parameters:
    ///   - kept: The queue's descriptor.
    ///   - manager: The service manager that stores a copy of this queue alone, which `forget` drops; `nil` if the copy
    ///     is part of a lease's bundle.
    ///   - name: The copy's name there.
    init(taking kept: OwnedDescriptor, keptBy manager: ServiceManager? = nil, as name: String = "") {
        descriptor = FileDescriptor(owning: kept.take())
        copy = manager.map { Copy(manager: $0, name: name) }
    }

    /// For system calls and descriptor passing, while the object lives; −1 once closed, for which the kernel returns
    /// EBADF.
    var number: Int32 {
        switch descriptor {
        case .some(let descriptor): descriptor.number
        case nil: -1
        }
    }

    /// The driver's features (`TUNGETFEATURES`), which are read without a device.
    static func features() throws(Errno) -> KernelFeatures {
        let descriptor = try FileDescriptor(opening: path, flags: O_RDWR | O_NONBLOCK)
        var bits: UInt32 = 0
        try systemCall { unsafe clinux_tun_get_features(descriptor.number, &bits) }
        return KernelFeatures(rawValue: bits)
    }

    /// What to do if `/dev/net/tun` cannot be opened; `nil` for other errors.
    static func advice(_ errno: Errno) -> String? {
        switch errno {
        case .noEntry, .noDevice: "/dev/net/tun is missing; load the module with 'modprobe tun'"
        case .accessDenied, .noPermission:
            "the daemon's user may not open /dev/net/tun; check its mode, which udev sets to 0666 by default"
        default: nil
        }
    }

    /// Opens a queue in the namespace, since it belongs to the one in which its file is opened (`TUNSETIFF`).
    private static func open(
        _ name: String, bits: Int32, in handle: NamespaceHandle?
    ) throws(Errno) -> FileDescriptor {
        let descriptor = try handle.inside { () throws(Errno) in
            try FileDescriptor(opening: path, flags: O_RDWR | O_NONBLOCK)
        }
        try systemCall {
            unsafe clinux_tun_set_interface(descriptor.number, name, UInt16(truncatingIfNeeded: bits))
        }
        return descriptor
    }

    /// `TUNSETPERSIST`: the device outlives its last queue.
    func persist() throws(Errno) {
        try systemCall { clinux_tun_set_persist(number, 1) }
    }

    /// `TUNSETOWNER`: the user that may attach without `CAP_NET_ADMIN`.
    func setOwner(_ user: UInt32) throws(Errno) {
        try systemCall { clinux_tun_set_owner(number, user) }
    }

    /// `TUNSETGROUP`: the group whose members may attach; if an owner is set too, both must match.
    func setGroup(_ group: UInt32) throws(Errno) {
        try systemCall { clinux_tun_set_group(number, group) }
    }

    /// `TUNSETOFFLOAD`. There is no ioctl that reads the offloads back.
    func setOffloads(_ offloads: Offloads) throws(Errno) {
        try systemCall { clinux_tun_set_offload(number, offloads.rawValue) }
    }

    /// `TUNSETVNETHDRSZ`, read back.
    ///
    /// - Throws: EBADMSG if the kernel shows another size afterwards.
    func setVnetHeaderSize(_ size: VnetHeaderSize) throws(Errno) {
        try systemCall { clinux_tun_set_vnet_header_size(number, Int32(size.value)) }
        guard try vnetHeaderSize() == size.value else { throw .badMessage }
    }

    /// Takes back what any process that has a queue may set for the whole device, even without privilege, and no
    /// message shows: `TUNSETTXFILTER`, `TUNATTACHFILTER`, `TUNSETSTEERINGEBPF`, `TUNSETFILTEREBPF`, `TUNSETVNETLE`,
    /// `TUNSETVNETBE`, and `TUNSETSNDBUF`, which is unlimited then.
    func reset() throws(Errno) {
        try systemCall { clinux_tun_reset(number) }
    }

    /// `TUNSETSNDBUF`, in bytes, for all queues that are attached now.
    func setSendBuffer(_ size: SendBufferBytes) throws(Errno) {
        try systemCall { clinux_tun_set_send_buffer(number, Int32(size.value)) }
    }

    /// `TUNGETIFF`.
    ///
    /// - Throws: EBADFD if the device is gone.
    func state() throws(Errno) -> State {
        var name = [CChar](repeating: 0, count: DeviceName.bytesMax + 1)
        var flags: UInt16 = 0
        // SAFETY: the shim writes IFNAMSIZ bytes.
        try systemCall { unsafe clinux_tun_get_interface(number, &name, &flags) }
        let text: [UInt8] = name.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }
        return State(
            name: String(decoding: text, as: UTF8.self), isAttached: Int32(flags) & IFF_DETACH_QUEUE == 0,
            vnetHeader: Int32(flags) & IFF_VNET_HDR != 0)
    }

    /// A queue's state as `TUNGETIFF` returns it.
    struct State {
        let name: String
        let isAttached: Bool
        let vnetHeader: Bool
    }

    /// `TUNSETQUEUE`. With `IFF_ATTACH_QUEUE` the queue becomes the last one in the kernel's order. With
    /// `IFF_DETACH_QUEUE` the kernel sends it no more packets, but the queue still pins the device's flags.
    ///
    /// - Throws: EINVAL if it is so already, or the device has a single queue.
    func setAttached(_ attached: Bool) throws(Errno) {
        try systemCall {
            clinux_tun_set_queue(number, UInt16(attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE))
        }
    }

    /// `TUNGETVNETHDRSZ`, in bytes.
    func vnetHeaderSize() throws(Errno) -> Int {
        var size: Int32 = 0
        try systemCall { unsafe clinux_tun_get_vnet_header_size(number, &size) }
        return Int(size)
    }

    // MARK: KernelQueue

    func isAttached() throws(KernelError) -> Bool {
        do throws(Errno) { return try state().isAttached } catch { throw KernelError("observe", error) }
    }

    func attach() throws(KernelError) {
        do throws(Errno) { try setAttached(true) } catch { throw KernelError("attach_queue", error) }
    }

    func detach() throws(KernelError) {
        do throws(Errno) { try setAttached(false) } catch { throw KernelError("detach_queue", error) }
    }

    func restoreAccess(to owner: UInt32) throws(KernelError) {
        do throws(Errno) {
            try persist()
            try setOwner(owner)
        } catch {
            throw KernelError("restore_access", error)
        }
    }

    func clearFilters(sendBuffer: SendBufferBytes?) throws(KernelError) {
        do throws(Errno) {
            try systemCall { clinux_tun_clear_filters(number) }
            try systemCall { clinux_tun_set_send_buffer(number, sendBuffer.map { Int32($0.value) } ?? .max) }
        } catch {
            throw KernelError("clear_filters", error)
        }
    }

    func close() { descriptor = nil }

    // MARK: The service manager's copy

    /// Stores a copy with the service manager.
    ///
    /// - Throws: What `ServiceManager.keep` throws.
    func keep(as name: String, with manager: ServiceManager) throws(Errno) {
        try manager.keep(number, as: name)
        copy = Copy(manager: manager, name: name)
    }

    /// Has the service manager drop its copy, which would keep the queue in the kernel.
    func forget() {
        guard let copy else { return }
        try? copy.manager.forget(copy.name)
        self.copy = nil
    }
}

extension CreationFlags {
    /// The `IFF_` bits of `linux/if_tun.h`.
    fileprivate var bits: Int32 {
        (kind == .tap ? IFF_TAP : IFF_TUN)
            | (multiQueue ? IFF_MULTI_QUEUE : 0)
            | (packetInfo ? 0 : IFF_NO_PI)
            | (vnetHeader ? IFF_VNET_HDR : 0)
            | (napi ? IFF_NAPI : 0)
            | (napiFrags ? IFF_NAPI_FRAGS : 0)
    }
}
