import Foundation
import Glibc
import TestSupport
import Testing

/// The real daemon's metrics, as read by the tools of others. `scripts/setup test` installs them; without them these
/// tests fail.
@Suite(.privileged) struct MetricsTests {
    private static let accept = "application/openmetrics-text"

    private func withDaemon(_ body: @escaping @Sendable (Daemon) throws -> Void) async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let daemon = try Daemon(directory: directory)
                try body(daemon)
                daemon.kill()
            }
        }
    }

    /// Two devices and a lease, with a packet from its queue, and a request for a missing resource.
    private static func busy(_ daemon: Daemon) throws -> Lessee {
        for (name, spec) in [("web0", #"{"queues": 4}"#), ("tun0", #"{"kind": "tun"}"#)] {
            let text = #"{"metadata": {"name": "\#(name)"}, "spec": \#(spec)}"#
            #expect(try daemon.send("POST", "/v1/devices?wait=10s", json: text).status == 201)
        }
        _ = try daemon.send("GET", "/nothing")
        let lessee = try Lessee(daemon.socket, of: "web0")
        send(9, on: lessee)
        return lessee
    }

    /// Writes frames to the first queue, as a virtual machine would.
    private static func send(_ count: Int, on lessee: Lessee) {
        let header = [UInt8](repeating: 0, count: 12)
        let frame = [UInt8](repeating: 0xFF, count: 6) + [2, 0, 0, 0, 0, 1, 8, 0] + [UInt8](repeating: 0, count: 86)
        let bytes = header + frame
        for _ in 0..<count { #expect(write(lessee.descriptors[0], bytes, bytes.count) == bytes.count) }
    }

    /// A scrape that does not share the text of an earlier one.
    private static func scrape(_ daemon: Daemon, headers: [String: String] = [:]) throws -> String {
        usleep(300_000)
        return try daemon.connect().send("GET", "/metrics", headers: headers).text
    }

    private static func values(_ text: String, where isWanted: (Substring) -> Bool) -> [Substring: Double] {
        text.split(separator: "\n").filter { !$0.hasPrefix("#") && isWanted($0) }.reduce(into: [:]) { values, line in
            guard let space = line.lastIndex(of: " ") else { return }
            values[line[..<space]] = Double(line[line.index(after: space)...])
        }
    }

    @Test func promtoolFindsNoMistakes() async throws {
        try await withDaemon { (daemon) throws in
            let lessee = try Self.busy(daemon)
            let file = daemon.directory + "/metrics"
            try Self.scrape(daemon).write(toFile: file, atomically: true, encoding: .utf8)
            let words = try run("sh", "-c", #"exec "$0" check metrics <"$1""#, buildTool("promtool"), file)
            #expect(words.isEmpty)
            lessee.leave()
        }
    }

    /// promtool checks whether the rules can be parsed; only a scrape shows whether their metrics exist.
    @Test func alertsUseExistingMetrics() async throws {
        let rules = Examples.path("../prometheus-rules.yaml")
        try run(buildTool("promtool"), "check", "config", Examples.path("../prometheus.yml"))
        let words = try run(buildTool("promtool"), "check", "rules", rules)
        #expect(words.contains("10 rules found"))
        let names = try String(contentsOfFile: rules, encoding: .utf8).matches(of: /(tapster|process)_[a-z_]+/).map(
            \.output.0)
        #expect(names.count > 8)
        let found = Set(names)
        try await withDaemon { (daemon) throws in
            let lessee = try Self.busy(daemon)
            let text = try Self.scrape(daemon)
            for name in found { #expect(text.contains("\n# TYPE \(name) "), "\(name)") }
            lessee.leave()
        }
    }

    /// Prometheus's own Python client reads both formats, with the same result.
    @Test func aRealParserReadsBothFormats() async throws {
        try await withDaemon { (daemon) throws in
            let lessee = try Self.busy(daemon)
            let script = """
                import sys
                from prometheus_client import parser
                from prometheus_client.openmetrics import parser as openmetrics
                modules = {"text": parser, "openmetrics": openmetrics}
                for family in modules[sys.argv[1]].text_string_to_metric_families(open(sys.argv[2]).read()):
                    for sample in family.samples: print(family.type, sample.name, sorted(sample.labels.items()))
                """
            // The first scrape creates a sample that it does not contain itself.
            _ = try Self.scrape(daemon)
            var found: [Set<Substring>] = []
            for (format, headers) in [("text", [:]), ("openmetrics", ["Accept": Self.accept])] {
                let file = daemon.directory + "/" + format
                try Self.scrape(daemon, headers: headers).write(toFile: file, atomically: true, encoding: .utf8)
                let lines = try run(buildTool("python3"), "-c", script, format, file).split(separator: "\n")
                #expect(lines.count > 100)
                #expect(Set(lines).count == lines.count)
                found.append(Set(lines))
            }
            #expect(found[0].symmetricDifference(found[1]).isEmpty)
            lessee.leave()
        }
    }

    /// The kernel counts, so a restart of the daemon does not matter.
    @Test func countersOfDevicesOutliveTheDaemon() async throws {
        try await withDaemon { (daemon) throws in
            let lessee = try Self.busy(daemon)
            func counters() throws -> [Substring: Double] {
                Self.values(try Self.scrape(daemon)) {
                    $0.hasPrefix("tapster_device_receive_") || $0.hasPrefix("tapster_device_transmit_")
                }
            }
            let before = try counters()
            #expect(before.count == 16)
            #expect(before[#"tapster_device_receive_packets_total{device="web0"}"#] == 9)
            #expect(before[#"tapster_device_receive_bytes_total{device="web0"}"#] == 900)
            for _ in 0..<3 {
                daemon.kill()
                try daemon.start()
                let after = try counters()
                #expect(Set(after.keys) == Set(before.keys))
                for (name, value) in before { #expect(after[name] ?? -1 >= value, "\(name)") }
            }
            lessee.leave()
        }
    }

    /// Counters in another namespace, and what happens to them when the namespace is deleted.
    @Test func aNamespaceThatGoesTakesItsCountersAlong() async throws {
        try await withDaemon { (daemon) throws in
            let namespace = NamedNamespace(in: daemon.directory)
            try namespace.make()
            let spec = #"{"spec": {"networkNamespace": "\#(namespace.location)"}}"#
            #expect(try daemon.send("PUT", "/v1/devices/web0?wait=10s", json: spec).status == 201)
            let success = "tapster_statistics_success{network_namespace=\"\(namespace.location)\"}"
            let bytes = "\ntapster_device_receive_bytes_total{device=\"web0\"}"
            let text = try Self.scrape(daemon)
            #expect(text.contains("\n\(success) 1\n") && text.contains(bytes))
            try namespace.remove()
            try eventually("its metrics are gone") {
                let text = try Self.scrape(daemon)
                return text.contains("\n\(success) 0\n") && !text.contains(bytes)
            }
            #expect(try Self.scrape(daemon).contains("\ntapster_statistics_success{network_namespace=\"\"} 1\n"))
        }
    }

    @Test func onlyMetricsAndHealthAreServedOnTheMetricsPort() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                try run("ip", "link", "set", "lo", "up")
                let daemon = try Daemon(directory: directory, options: ["--metrics-listen", "127.0.0.1:9480"])
                let client = try HTTPClient(port: 9_480)
                #expect(try client.send("GET", "/metrics").text.contains("tapster_ready 1"))
                #expect(try client.send("GET", "/readyz").status == 200)
                #expect(try client.send("GET", "/v1/devices").status == 404)
                daemon.kill()
            }
        }
    }

    /// A real Prometheus sees the devices' traffic, and loses none of it when the daemon is killed.
    @Test func aRealPrometheusAnswersQueries() async throws {
        try await inNamespace {
            try withTemporaryDirectory { directory in
                try run("ip", "link", "set", "lo", "up")
                let daemon = try Daemon(directory: directory, options: ["--metrics-listen", "127.0.0.1:9480"])
                let prometheus = try Prometheus(in: directory, target: "127.0.0.1:9480")
                var lessee = try Self.busy(daemon)
                try prometheus.expect("tapster_ready", is: "1")
                try prometheus.expect(#"sum by (phase) (tapster_devices{phase="Ready"})"#, is: "2")
                try prometheus.expect(#"tapster_statistics_success"#, is: "1")
                let rate = #"rate(tapster_device_receive_bytes_total{device="web0"}[30s]) > bool 0"#
                try prometheus.expect(rate, is: "1") { Self.send(1, on: lessee) }
                // It has requested OpenMetrics: only that format has units.
                let metadata = try prometheus.get("/api/v1/metadata?metric=tapster_device_receive_bytes")
                #expect(metadata.contains(#""unit":"bytes""#))

                daemon.kill()
                try prometheus.expect("up", is: "0")
                try daemon.start()
                lessee.leave()
                lessee = try Lessee(daemon.socket, of: "web0")
                try prometheus.expect("up", is: "1")
                let packets = #"tapster_device_receive_packets_total{device="web0"}"#
                let last = try #require(Double(try prometheus.value("last_over_time(\(packets)[5m])") ?? ""))
                try prometheus.expect("\(packets) > bool \(last)", is: "1") { Self.send(1, on: lessee) }
                try prometheus.expect("resets(\(packets)[5m])", is: "0")
                lessee.leave()
                #expect(prometheus.stop() == 0)
                daemon.kill()
            }
        }
    }
}

/// Prometheus as a process in the calling thread's namespace, with its data in a directory of the test.
private final class Prometheus {
    private static let port: UInt16 = 9_090
    /// The time limit, for a busy machine.
    private static let patienceSeconds = 90.0

    private let process: ChildProcess
    private let log: String

    init(in directory: String, target: String) throws {
        let configuration = directory + "/prometheus.yml"
        log = directory + "/prometheus.log"
        try """
        global: {scrape_interval: 1s, scrape_timeout: 1s}
        scrape_configs:
          - job_name: tapster
            static_configs: [{targets: ["\(target)"]}]
        """.write(toFile: configuration, atomically: true, encoding: .utf8)
        process = try ChildProcess(
            buildTool("prometheus"),
            [
                "--config.file=\(configuration)", "--storage.tsdb.path=\(directory)/tsdb",
                "--web.listen-address=127.0.0.1:\(Self.port)", "--log.level=warn",
            ], output: log)
        try eventually("Prometheus is ready", within: Self.patienceSeconds) {
            guard process.isRunning else { throw TestFailure("Prometheus ended with \(process.wait()): \(words)") }
            return (try? HTTPClient(port: Self.port).send("GET", "/-/ready").status) == 200
        }
    }

    deinit {
        process.signal(SIGKILL)
        process.wait()
    }

    private var words: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    func get(_ target: String) throws -> String {
        let answer = try HTTPClient(port: Self.port).send("GET", target)
        guard answer.status == 200 else { throw TestFailure("\(target): \(answer.text)") }
        return answer.text
    }

    /// The value of the only sample that a query returns; `nil` if there is none.
    func value(_ query: String) throws -> String? {
        let text = query.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        let answer = try JSONSerialization.jsonObject(with: Data(try get("/api/v1/query?query=\(text)").utf8))
        let data = (answer as? [String: Any])?["data"] as? [String: Any]
        guard let results = data?["result"] as? [[String: Any]], results.count == 1 else { return nil }
        return (results[0]["value"] as? [Any])?.last as? String
    }

    /// Repeats the query until it has this value, and runs `meanwhile` before each attempt.
    func expect(_ query: String, is value: String, meanwhile: () -> Void = {}) throws {
        var last: String?
        do {
            try eventually(query, within: Self.patienceSeconds) {
                meanwhile()
                usleep(200_000)
                last = try self.value(query)
                return last == value
            }
        } catch {
            throw TestFailure("\(error); it is \(last ?? "missing") instead of \(value): \(words)")
        }
    }

    /// Sends SIGTERM and waits until it has ended.
    func stop() -> Int32 {
        process.signal(SIGTERM)
        return process.wait()
    }
}
