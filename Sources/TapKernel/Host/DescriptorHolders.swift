internal import Foundation
internal import TapCore

/// The processes that hold descriptors of tap and tun devices, as far as the daemon may read their `/proc/PID/fdinfo`
/// (proc(5)).
struct DescriptorHolders: DescriptorHolderSource {
    private static let path = "/dev/net/tun"

    func holders(of names: Set<String>) -> [String: [DescriptorHolder]] {
        let files = FileManager.default
        let processes = ((try? files.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
        var holders: [String: [DescriptorHolder]] = [:]
        for process in processes.sorted() where process != getpid() {
            for (name, count) in Self.interfaces(of: process) where names.contains(name) {
                let command = (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) ?? ""
                holders[name, default: []].append(
                    DescriptorHolder(
                        process: process, command: command.trimmingCharacters(in: .newlines), descriptors: count))
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
}
