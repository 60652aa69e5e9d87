import CLinux
import Foundation
import Glibc
import TapCore

/// Somebody who has a queue of a tap open, as a VMM would: in the calling thread's network namespace.
public final class Consumer {
    private let descriptor: Int32

    /// Attaches to the device by its name.
    public init(_ name: String, vnetHeader: Bool = true, multiQueue: Bool = true) throws {
        descriptor = clinux_open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        let flags = IFF_TAP | IFF_NO_PI | (multiQueue ? IFF_MULTI_QUEUE : 0) | (vnetHeader ? IFF_VNET_HDR : 0)
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
    public static func vnetHeaderSize(of name: String, multiQueue: Bool = true) throws -> Int {
        try Consumer(name, multiQueue: multiQueue).vnetHeaderSize
    }
}

/// What of its work the kernel leaves to the device's consumer: what `TUNSETOFFLOAD` came to, as far as ethtool tells.
public func offloads(of name: String) throws -> Offloads {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    var bits: UInt32 = 0
    guard clinux_tun_offloads(socket, name, &bits) == 0 else {
        throw TestFailure("offloads of \(name): \(String(cString: strerror(errno)))")
    }
    return Offloads(rawValue: bits)
}
