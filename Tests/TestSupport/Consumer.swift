import CLinux
import Foundation
import Glibc
import Steering
import TapCore

/// An open queue of a tap, as a VMM has it, in the calling thread's network namespace.
public final class Consumer {
    let descriptor: Int32
    /// Whether a vnet header precedes each frame.
    private let hasVnetHeader: Bool

    /// Attaches to the device by its name.
    public init(_ name: String, vnetHeader: Bool = true, multiQueue: Bool = true) throws {
        hasVnetHeader = vnetHeader
        descriptor = clinux_open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK, 0)
        let flags = IFF_TAP | IFF_NO_PI | (multiQueue ? IFF_MULTI_QUEUE : 0) | (vnetHeader ? IFF_VNET_HDR : 0)
        guard clinux_tun_set_interface(descriptor, name, UInt16(flags)) == 0 else {
            throw TestFailure("attach to \(name): \(String(cString: strerror(errno)))")
        }
    }

    /// Makes a persistent tap with a number of our choice (`TUNSETIFINDEX`), as CRIU does for the devices that it
    /// restores; `namespace` is another one than the thread's.
    public static func make(_ name: String, index: Int, in namespace: NamedNamespace? = nil) throws {
        let descriptor = clinux_open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK, 0)
        defer { close(descriptor) }
        var index = UInt32(index)
        guard
            withUnsafeMutablePointer(
                to: &index,
                {
                    steering_control(descriptor, 0x4004_54DA, UInt(bitPattern: $0))
                }) == 0,
            clinux_tun_set_interface(
                descriptor, name, UInt16(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR)) == 0,
            clinux_tun_set_persist(descriptor, 1) == 0
        else { throw TestFailure("make \(name): \(String(cString: strerror(errno)))") }
        // An interface that is moved keeps its number if it is free.
        if let namespace { try run("ip", "link", "set", name, "netns", namespace.location) }
    }

    /// Wraps a queue that was received from another process.
    public init(owning descriptor: Int32) {
        self.descriptor = descriptor
        hasVnetHeader = (Self.flags(descriptor) ?? 0) & IFF_VNET_HDR != 0
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

    // MARK: The queue

    /// Whether the queue is attached (`TUNGETIFF`); `nil` if the device is gone.
    public var isAttached: Bool? { Self.flags(descriptor).map { $0 & IFF_DETACH_QUEUE == 0 } }

    private static func flags(_ descriptor: Int32) -> Int32? {
        var flags: UInt16 = 0
        var name = [CChar](repeating: 0, count: 16)
        return clinux_tun_get_interface(descriptor, &name, &flags) == 0 ? Int32(flags) : nil
    }

    /// Attaches the queue (`TUNSETQUEUE`).
    ///
    /// - Returns: Whether the kernel allowed it.
    @discardableResult
    public func attach() -> Bool { clinux_tun_set_queue(descriptor, UInt16(IFF_ATTACH_QUEUE)) == 0 }

    /// Detaches the queue (`TUNSETQUEUE`).
    @discardableResult
    public func detach() -> Bool { clinux_tun_set_queue(descriptor, UInt16(IFF_DETACH_QUEUE)) == 0 }

    /// The send buffer (`TUNGETSNDBUF`); `nil` if the device is gone.
    public var sendBufferBytes: Int? {
        var bytes: Int32 = 0
        return steering_get_send_buffer(descriptor, &bytes) == 0 ? Int(bytes) : nil
    }

    /// Reads all waiting frames.
    ///
    /// - Returns: The numbers of the `SteeredFrames` among them.
    public func receive() -> [UInt32] {
        let header = hasVnetHeader ? max(vnetHeaderSize, 0) : 0
        var buffer = [UInt8](repeating: 0, count: 2_048)
        var numbers: [UInt32] = []
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return numbers }
            if let number = SteeredFrames.number(of: buffer[0..<count].dropFirst(header)) { numbers.append(number) }
        }
    }

    /// Reads all waiting frames, without their vnet headers.
    public func frames() -> [[UInt8]] {
        let header = hasVnetHeader ? max(vnetHeaderSize, 0) : 0
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var frames: [[UInt8]] = []
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return frames }
            frames.append(Array(buffer[0..<count].dropFirst(header)))
        }
    }

    /// Sends a frame to the host.
    public func send(_ frame: [UInt8]) throws {
        let bytes = [UInt8](repeating: 0, count: hasVnetHeader ? max(vnetHeaderSize, 0) : 0) + frame
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw TestFailure("send: \(String(cString: strerror(errno)))")
        }
    }

    /// Calls ioctl(2) with a value.
    ///
    /// - Returns: Whether the kernel allowed it.
    @discardableResult
    public func control(_ number: UInt, _ value: UInt) -> Bool { steering_control(descriptor, number, value) >= 0 }

    /// Calls ioctl(2) with a pointer to a copy of these bytes.
    ///
    /// - Returns: Whether the kernel allowed it.
    @discardableResult
    public func control(_ number: UInt, _ bytes: [UInt8]) -> Bool {
        var bytes = bytes
        return bytes.withUnsafeMutableBytes {
            steering_control(descriptor, number, UInt(bitPattern: $0.baseAddress)) >= 0
        }
    }

    // MARK: The device

    /// What a process without privilege can set for the whole device, and no message shows.
    public enum HiddenSetting: String, CaseIterable, Sendable {
        case addressFilter, packetFilter, sendBuffer, byteOrder
    }

    /// - Throws: `TestFailure` if the kernel refuses it.
    public func set(_ setting: HiddenSetting) throws {
        let result =
            switch setting {
            case .addressFilter: steering_filter_addresses(descriptor)
            case .packetFilter: steering_filter_packets(descriptor)
            case .sendBuffer: steering_limit_sending(descriptor)
            case .byteOrder: steering_set_little_endian(descriptor)
            }
        guard result == 0 else { throw TestFailure("\(setting): \(String(cString: strerror(errno)))") }
    }

    /// Whether the vnet header is little-endian on every host (`TUNGETVNETLE`).
    public var isLittleEndian: Bool {
        var isSet: Int32 = 0
        return steering_is_little_endian(descriptor, &isSet) == 0 && isSet != 0
    }

    /// Sets the interface's MAC address (`SIOCSIFHWADDR`).
    public func setAddress(_ bytes: [UInt8]) { _ = steering_set_address(descriptor, bytes) }

    /// Sets the owner (`TUNSETOWNER`), which cannot be removed again.
    public func setOwner(_ user: UInt32) { _ = clinux_tun_set_owner(descriptor, user) }

    /// Sets the group (`TUNSETGROUP`), which cannot be removed again.
    public func setGroup(_ group: UInt32) { _ = clinux_tun_set_group(descriptor, group) }

    /// Sets whether the device outlives its last queue (`TUNSETPERSIST`).
    public func setPersistent(_ persistent: Bool) { _ = clinux_tun_set_persist(descriptor, persistent ? 1 : 0) }

    /// Sets the offloads that the consumer handles (`TUNSETOFFLOAD`).
    public func setOffloads(_ offloads: Offloads) { _ = clinux_tun_set_offload(descriptor, offloads.rawValue) }

    /// The vnet header's size in bytes, read and set through the open queue.
    public var vnetHeaderSize: Int {
        get {
            var bytes: Int32 = 0
            return clinux_tun_get_vnet_header_size(descriptor, &bytes) == 0 ? Int(bytes) : -1
        }
        set { _ = clinux_tun_set_vnet_header_size(descriptor, Int32(newValue)) }
    }

    /// The vnet header's size in bytes (`TUNGETVNETHDRSZ`), read through a new queue: it belongs to the whole device.
    public static func vnetHeaderSize(of name: String, multiQueue: Bool = true) throws -> Int {
        try Consumer(name, multiQueue: multiQueue).vnetHeaderSize
    }
}

/// The offloads of a device, which `TUNSETOFFLOAD` sets, as far as ethtool reports them.
public func offloads(of name: String) throws -> Offloads {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    var bits: UInt32 = 0
    guard clinux_tun_offloads(socket, name, &bits) == 0 else {
        throw TestFailure("offloads of \(name): \(String(cString: strerror(errno)))")
    }
    return Offloads(rawValue: bits)
}
