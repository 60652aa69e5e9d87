import Foundation
import Glibc

/// A process's resources as shown by `/proc` (proc(5)).
public struct ProcessFigures {
    private let process: pid_t

    public init(_ process: pid_t) {
        self.process = process
    }

    /// The targets of its open descriptors, without the numbers that distinguish them.
    public var descriptors: [String] {
        let place = "/proc/\(process)/fd"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
        return numbers.compactMap { number in
            var text = [CChar](repeating: 0, count: 256)
            let count = readlink(place + "/" + number, &text, 255)
            guard count > 0 else { return nil }
            return String(decoding: text[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
                .replacing(/\[?\d+\]?/, with: "")
        }.sorted()
    }

    /// Resident memory, both private and shared, in KiB (`VmRSS`).
    public var residentKibibytes: Int {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return Int(line.filter(\.isNumber)) ?? 0
    }

    /// Processor time in user and kernel mode, in seconds.
    public var seconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        // The name may have spaces and parentheses.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

extension Daemon {
    /// What the daemon has open, without the connections of this check itself, which close a little later.
    public var openDescriptors: [String] { server.map { ProcessFigures($0).descriptors } ?? [] }

    /// The same once no request is in progress, including what is opened at the first lease.
    public func descriptorsAtRest(_ device: String) throws -> [String] {
        try Lessee(socket, of: device).leave()
        var seen: [String] = []
        try eventually("what is open stays the same") {
            guard try Interface(device)?.tun("numqueues") == "0" else { return false }
            usleep(50_000)
            let before = seen
            seen = openDescriptors
            return seen == before
        }
        return seen
    }

    /// Waits until no queue of the devices is attached or detached in the kernel, exactly `leases` leases exist, and
    /// the daemon has the same open as before.
    public func waitUntilAllIsFree(_ devices: [String], _ baseline: [String], leases: Int = 0) throws {
        var complaint = ""
        do {
            try eventually("all is free") {
                complaint = try whatIsNotFree(devices, baseline, leases) ?? ""
                return complaint.isEmpty
            }
        } catch {
            throw TestFailure("not free: \(complaint)")
        }
    }

    private func whatIsNotFree(_ devices: [String], _ baseline: [String], _ count: Int) throws -> String? {
        for device in devices {
            guard let interface = try Interface(device) else { return "\(device) is gone" }
            let (attached, detached) = (interface.tun("numqueues"), interface.tun("numdisabled"))
            if attached != "0" || detached != "0" {
                return "\(device) has \(attached ?? "?") queues, and \(detached ?? "?") detached ones"
            }
        }
        let leases = try send("GET", "/v1/leases")
        if (leases["items"] as? [Any])?.count != count { return "there are leases: \(leases.text)" }
        let open = openDescriptors
        let difference = open.difference(from: baseline)
        return difference.isEmpty ? nil : "open files changed: \(difference)"
    }
}
