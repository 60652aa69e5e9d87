import CLinux
import Foundation
import Glibc
import Testing

/// A small Linux in QEMU, without KVM, with a four-queue network card: `Tests/Guest`, packed by `scripts/setup test`.
public final class Guest {
    /// The number of queues, and of processors, so that each processor has its own queue.
    public static let queues = 4

    private static let files = URL(fileURLWithPath: #filePath).appending(path: "../../../.build-tools/guest")
        .standardizedFileURL.path
    /// Whether the guest's files and QEMU are installed.
    public static let isAvailable =
        access(files + "/initrd", R_OK) == 0 && access("/usr/bin/qemu-system-x86_64", X_OK) == 0

    /// QEMU, or the program that executes it.
    public let process: ChildProcess
    private let directory: String
    private let serialPort: Int32
    private var received = Data()

    /// QEMU's arguments; `-netdev tap` gets its queues by the given option: `fds={fds}` or `ifname=`.
    public static func virtualMachine(on network: String) -> [String] {
        [
            "qemu-system-x86_64", "-nodefaults", "-smp", "\(queues)", "-netdev",
            "tap,id=n0,vhost=off,\(network)",
            // Two interrupts for each queue, and two more.
            "-device", "virtio-net-pci,netdev=n0,mq=on,vectors=\(2 * queues + 2),romfile=",
        ]
    }

    /// Boots the guest and waits until it accepts commands.
    ///
    /// - Parameters:
    ///   - directory: A directory for the guest's console and serial port; QEMU's user must be able to write to it.
    ///   - address: The address of the guest's eth0, with its prefix length.
    ///   - command: A command that runs QEMU with a virtual machine, adding the arguments that follow.
    /// - Throws: `TestFailure`, with the output of QEMU and of the guest's kernel.
    public init(in directory: String, address: String, command: [String]) throws {
        self.directory = directory
        for name in ["vmlinuz", "initrd"] {
            // QEMU's user may have no access to our folders.
            let (from, to) = ("\(Self.files)/\(name)", "\(directory)/\(name)")
            if link(from, to) != 0 { try FileManager.default.copyItem(atPath: from, toPath: to) }
        }
        process = try ChildProcess(
            command[0],
            command.dropFirst() + [
                // Not KVM: some hosts do not have it, and on some it does not work.
                "-machine", "accel=tcg",
                // A small processor has fewer features to probe at boot; mitigations would only cost time.
                "-cpu", "Nehalem", "-m", "192", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", directory + "/vmlinuz", "-initrd", directory + "/initrd",
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr address=\(address)",
                "-serial", "file:\(directory)/console",
                // QEMU waits for our connection, so that no output of the guest is lost.
                "-serial", "unix:\(directory)/serial,server=on,wait=on",
            ], output: directory + "/qemu")
        serialPort = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        do {
            try eventually("QEMU opens its serial port") {
                guard process.isRunning else { throw TestFailure("QEMU ended with \(process.wait())") }
                return connectSocket(serialPort, to: directory + "/serial")
            }
            try receive(until: "ready\n", within: 120)
        } catch {
            throw TestFailure("\(error)\n\(log)")
        }
    }

    deinit {
        kill()
        close(serialPort)
    }

    /// The output of QEMU and of the guest's kernel.
    public var log: String {
        ["/qemu", "/console"].map { (try? String(contentsOfFile: directory + $0, encoding: .utf8)) ?? "" }.joined()
    }

    /// Runs a command line in the guest's shell.
    ///
    /// - Returns: Its output.
    /// - Throws: `TestFailure` if it fails, or does not end in time.
    @discardableResult
    public func run(_ line: String) throws -> String {
        try write(line + "\n")
        let output = try receive(until: "done ", within: 30)
        let status = try receive(until: "\n", within: 30)
        guard status == "0" else { throw TestFailure("\(line), in the guest: \(output)") }
        return output
    }

    /// The number of interrupts of each queue, in the guest's direction: `input` or `output`.
    ///
    /// Packets that arrive together share an interrupt. Linux 6.12 no longer reports packets per queue to ethtool.
    public func interrupts(_ direction: String) throws -> [Int] {
        let lines = try run("cat /proc/interrupts").split(separator: "\n").map { $0.split(separator: " ") }
        return try (0..<Self.queues).map { queue in
            let name = "virtio0-\(direction).\(queue)"
            // The interrupt's number, its count on each processor, and its name.
            guard let line = lines.first(where: { ($0.last ?? "") == name }) else {
                throw TestFailure("no \(name) in \(lines)")
            }
            return line.dropFirst().prefix(Self.queues).compactMap { Int($0) }.reduce(0, +)
        }
    }

    /// Sets the number of queues that the guest uses; its driver detaches the others.
    public func useQueues(_ count: Int) throws { try run("ethtool -L eth0 combined \(count)") }

    /// Shuts the guest down in an orderly way, and waits until it has ended.
    public func powerOff() throws {
        try write("poweroff -f\n")
        try eventually("QEMU ends") { !process.isRunning }
    }

    /// Sends SIGKILL, which neither QEMU nor the guest can handle.
    public func kill() {
        process.signal(SIGKILL)
        process.wait()
    }

    private func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard send(serialPort, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw TestFailure("the guest's serial port is closed\n\(log)")
        }
    }

    /// The input up to the mark; the mark is removed too.
    @discardableResult
    private func receive(until mark: String, within seconds: Int) throws -> String {
        let deadline = Date(timeIntervalSinceNow: Double(seconds))
        while true {
            if let found = received.range(of: Data(mark.utf8)) {
                let text = String(decoding: received[..<found.lowerBound], as: UTF8.self)
                received = Data(received[found.upperBound...])
                return text
            }
            var poll = pollfd(fd: serialPort, events: Int16(POLLIN), revents: 0)
            let patience = max(0, deadline.timeIntervalSinceNow * 1_000)
            var buffer = [UInt8](repeating: 0, count: 4_096)
            guard Glibc.poll(&poll, 1, Int32(patience)) == 1,
                case let count = recv(serialPort, &buffer, buffer.count, 0),
                count > 0
            else {
                throw TestFailure(
                    "the guest does not say “\(mark)”, but “\(String(decoding: received, as: UTF8.self))”")
            }
            received.append(contentsOf: buffer[0..<count])
        }
    }
}

/// Whether a server listens on the socket.
private func connectSocket(_ descriptor: Int32, to path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Runs only where a guest can be booted with queues of the daemon.
    public static var guest: Self {
        .enabled(if: Privileged.isAvailable && Guest.isAvailable, "needs root, /dev/net/tun and `scripts/setup test`")
    }
}
