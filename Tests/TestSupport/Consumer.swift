import CLinux
import Foundation
import Glibc
import TapCore

/// Somebody who has a queue of a multiqueue tap open, as a VMM would: in the calling thread's network namespace.
public final class Consumer {
    private let descriptor: Int32

    /// Attaches to the device by its name.
    public init(_ name: String, vnetHeader: Bool = true) throws {
        descriptor = clinux_open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        let flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | (vnetHeader ? IFF_VNET_HDR : 0)
        guard clinux_tun_set_interface(descriptor, name, UInt16(flags)) == 0 else {
            throw TestFailure("attach to \(name): \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        leave()
    }

    private var hasLeft = false

    /// Closes the queue.
    public func leave() {
        if !hasLeft { close(descriptor) }
        hasLeft = true
    }

    /// A user that cannot be taken back (`TUNSETOWNER`).
    public func setOwner(_ user: UInt32) { _ = clinux_tun_set_owner(descriptor, user) }

    /// What it wants of the kernel (`TUNSETOFFLOAD`).
    public func setOffloads(_ offloads: Offloads) { _ = clinux_tun_set_offload(descriptor, offloads.rawValue) }

    public var vnetHeaderSize: Int {
        get {
            var bytes: Int32 = 0
            return clinux_tun_get_vnet_header_size(descriptor, &bytes) == 0 ? Int(bytes) : -1
        }
        set { _ = clinux_tun_set_vnet_header_size(descriptor, Int32(newValue)) }
    }

    /// What is set with one queue and belongs to the whole device (`TUNGETVNETHDRSZ`).
    public static func vnetHeaderSize(of name: String) throws -> Int { try Consumer(name).vnetHeaderSize }
}

/// Whether the kernel may hand the interface packets that want a checksum or segmentation (`SIOCETHTOOL`): what
/// `TUNSETOFFLOAD` comes to.
public func offloads(of name: String) throws -> (checksum: Bool, segmentation: Bool) {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    func ask(_ command: UInt32) throws -> Bool {
        // struct ethtool_value
        var value: (command: UInt32, data: UInt32) = (command, 0)
        return try withUnsafeMutablePointer(to: &value) { value in
            // struct ifreq: the name, then the pointer.
            var request = [UInt8](repeating: 0, count: 40)
            request.replaceSubrange(0..<name.utf8.count, with: name.utf8)
            withUnsafeBytes(of: UInt(bitPattern: value)) { request.replaceSubrange(16..<24, with: $0) }
            guard ioctl(socket, UInt(SIOCETHTOOL), &request) == 0 else {
                throw TestFailure("SIOCETHTOOL \(name): \(String(cString: strerror(errno)))")
            }
            return value.pointee.data != 0
        }
    }
    return (checksum: try ask(0x16), segmentation: try ask(0x1E))  // ETHTOOL_GTXCSUM, ETHTOOL_GTSO
}

private let SIOCETHTOOL = 0x8946
