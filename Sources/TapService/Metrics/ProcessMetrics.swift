internal import Foundation

/// The process as Prometheus' clients describe it, from proc(5).
enum ProcessMetrics {
    static func write(to text: inout MetricsText) {
        guard let statistics = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8) else { return }
        // The command's name stands in brackets and may hold spaces; the fields begin behind it, with the third.
        let fields = statistics.split(separator: ")").last?.split(separator: " ").map { Double($0) ?? 0 } ?? []
        guard fields.count > 21 else { return }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        let pageBytes = Double(sysconf(Int32(_SC_PAGESIZE)))
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0
        var limit = rlimit()
        // SAFETY: the call writes the local.
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let samples: [(name: String, type: String, help: String, value: Double)] = [
            ("process_cpu_seconds_total", "counter", "User and system time.", (fields[11] + fields[12]) / ticks),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", fields[21] * pageBytes),
            ("process_virtual_memory_bytes", "gauge", "Virtual memory.", fields[20]),
            ("process_threads", "gauge", "Threads.", fields[17]),
            ("process_open_fds", "gauge", "Open descriptors.", Double(descriptors)),
            ("process_max_fds", "gauge", "Limit of open descriptors.", Double(limit.rlim_cur)),
        ]
        for sample in samples {
            text.family(sample.name, sample.help, type: sample.type)
            text.sample(sample.name, [], sample.value)
        }
    }
}
