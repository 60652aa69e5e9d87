internal import Foundation
internal import TapEngine

/// The process metrics of Prometheus' client libraries, from proc(5).
enum ProcessMetrics {
    static func write(to text: inout MetricsText) {
        guard let statistics = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8) else { return }
        // The command in parentheses may contain spaces; the fields behind it begin with the third (proc_pid_stat(5)).
        let fields = statistics.split(separator: ")").last?.split(separator: " ").map { Double($0) ?? 0 } ?? []
        guard fields.count > 21 else { return }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        let pageBytes = Double(sysconf(Int32(_SC_PAGESIZE)))
        let samples: [(name: String, kind: MetricFamily.Kind, help: String, value: Double)] = [
            ("process_cpu_seconds_total", .counter, "User and system CPU time.", (fields[11] + fields[12]) / ticks),
            (
                "process_start_time_seconds", .gauge, "When the process started, in Unix time.",
                bootSeconds + fields[19] / ticks
            ),
            ("process_resident_memory_bytes", .gauge, "Resident memory.", fields[21] * pageBytes),
            ("process_virtual_memory_bytes", .gauge, "Virtual memory.", fields[20]),
            (
                "process_virtual_memory_max_bytes", .gauge, "Limit of virtual memory; -1 means unlimited.",
                limit(of: RLIMIT_AS)
            ),
            ("process_threads", .gauge, "Number of threads.", fields[17]),
            ("process_open_fds", .gauge, "Open file descriptors.", openDescriptors),
            ("process_max_fds", .gauge, "Limit of open file descriptors.", limit(of: RLIMIT_NOFILE)),
        ]
        for sample in samples {
            text.family(sample.name, sample.help, sample.kind)
            text.sample(sample.name, [], sample.value)
        }
    }

    /// `btime` of proc_stat(5), in Unix time. Setting the clock changes it, so it is read once.
    private static let bootSeconds: Double = {
        let lines = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8))?.split(separator: "\n") ?? []
        return lines.first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst("btime ".count)) } ?? 0
    }()

    private static var openDescriptors: Double {
        let path = "/proc/self/fd"
        var status = stat()
        // Since Linux 6.2 the size of the directory is their number; counting thousands of entries takes milliseconds.
        // SAFETY: the call writes the local.
        if unsafe stat(path, &status) == 0, status.st_size > 0 { return Double(status.st_size) }
        return Double((try? FileManager.default.contentsOfDirectory(atPath: path))?.count ?? 0)
    }

    private static func limit(of resource: __rlimit_resource) -> Double {
        var limit = rlimit()
        // SAFETY: the call writes the local.
        _ = unsafe getrlimit(__rlimit_resource_t(resource.rawValue), &limit)
        return limit.rlim_cur == rlim_t.max ? -1 : Double(limit.rlim_cur)
    }
}
