internal import Foundation
internal import TapCore

/// Who holds descriptors of a tap or tun device: proc(5) tells it of those processes that we may look at.
enum DescriptorHolders {
    private static let path = "/dev/net/tun"

    static func find(_ name: String) -> [DescriptorHolder] {
        let files = FileManager.default
        let processes = (try? files.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.compactMap { Int32($0) }.sorted().compactMap { process in
            guard process != getpid() else { return nil }
            let folder = "/proc/\(process)"
            let numbers = (try? files.contentsOfDirectory(atPath: folder + "/fd")) ?? []
            let count = numbers.count { number in
                guard (try? files.destinationOfSymbolicLink(atPath: "\(folder)/fd/\(number)")) == path,
                    let information = try? String(contentsOfFile: "\(folder)/fdinfo/\(number)", encoding: .utf8)
                else { return false }
                // "iff:" and the interface's name (`tun_chr_show_fdinfo()`).
                return information.split(separator: "\n").contains { $0 == "iff:\t\(name)" }
            }
            guard count > 0 else { return nil }
            let command = (try? String(contentsOfFile: folder + "/comm", encoding: .utf8)) ?? ""
            return DescriptorHolder(
                process: process, command: command.trimmingCharacters(in: .newlines), descriptors: count)
        }
    }
}
