internal import Foundation
internal import Glibc
internal import TapCore

/// The host's processes (proc(5)): which of them hold descriptors of tap and tun devices.
///
/// Only root, a process of the same user, or one with `CAP_SYS_PTRACE` may read which descriptors a process has.
struct ProcessTable: DescriptorHolderSource {
    private static let path = "/dev/net/tun"

    func holders(of names: Set<String>) -> [String: [DescriptorHolder]] {
        let files = FileManager.default
        let processes = ((try? files.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
        var holders: [String: [DescriptorHolder]] = [:]
        for process in processes.sorted() where process != getpid() {
            for (name, count) in Self.interfaces(of: process) where names.contains(name) {
                holders[name, default: []].append(
                    DescriptorHolder(
                        process: process, user: Self.user(of: process), command: Self.command(of: process),
                        descriptors: count))
            }
        }
        return holders
    }

    /// How many descriptors of each interface the process holds.
    private static func interfaces(of process: Int32) -> [String: Int] {
        let files = FileManager.default
        let folder = "/proc/\(process)"
        var counts: [String: Int] = [:]
        for number in (try? files.contentsOfDirectory(atPath: folder + "/fd")) ?? [] {
            guard (try? files.destinationOfSymbolicLink(atPath: "\(folder)/fd/\(number)")) == path,
                let information = try? String(contentsOfFile: "\(folder)/fdinfo/\(number)", encoding: .utf8)
            else { continue }
            // "iff:" and the interface's name (`tun_chr_show_fdinfo()`).
            let line = information.split(separator: "\n").first { $0.hasPrefix("iff:\t") }
            if let line { counts[String(line.dropFirst(5)), default: 0] += 1 }
        }
        return counts
    }

    /// The process's effective user; `nil` if it has ended.
    private static func user(of process: Int32) -> UInt32? {
        var status = stat()
        // SAFETY: the kernel writes one `struct stat`, during the call.
        return unsafe stat("/proc/\(process)", &status) == 0 ? status.st_uid : nil
    }

    /// The process's name; `nil` if it has ended.
    private static func command(of process: Int32) -> String? {
        (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines)
    }
}
