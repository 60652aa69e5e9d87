import TapSystem
import Foundation
import TapCore
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

@Suite struct MetricsTextTests {
    private func text(_ format: MetricsFormat, _ body: (inout MetricsText) -> Void) -> String {
        var text = MetricsText(format)
        body(&text)
        return text.text
    }

    @Test func labelsAreEscaped() {
        #expect(
            text(.text) { $0.sample("x", [("a", "1\\2\"3\n4"), ("b", "")], UInt64(5)) }
                == "x{a=\"1\\\\2\\\"3\\n4\",b=\"\"} 5\n")
    }

    @Test(arguments: [0, 7, 10, 1_234_567_890, UInt64.max])
    func wholeNumbersAreExact(number: UInt64) {
        #expect(text(.text) { $0.sample("x", [], number) } == "x \(number)\n")
    }

    @Test(arguments: [(0.25, "0.25"), (3, "3"), (-1, "-1.0"), (1e-05, "1e-05"), (1_764_019_508.5, "1764019508.5")])
    func othersAreAsShortAsTheyCanBe(number: Double, written: String) {
        #expect(text(.text) { $0.sample("x", [], number) } == "x \(written)\n")
        #expect(Double(written) == number)
    }

    /// OpenMetrics names the family of a counter without `_total`, has units, and an end.
    @Test func bothFormatsHaveTheirOwnHeads() {
        func all(_ text: inout MetricsText) {
            text.family("a_bytes_total", "Help.", .counter)
            text.sample("a_bytes_total", [], UInt64(1))
            text.family("b", "Help.")
            text.end()
        }
        #expect(
            text(.text, all)
                == "# HELP a_bytes_total Help.\n# TYPE a_bytes_total counter\na_bytes_total 1\n"
                + "# HELP b Help.\n# TYPE b gauge\n")
        #expect(
            text(.openMetrics, all)
                == "# HELP a_bytes Help.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total 1\n"
                + "# HELP b Help.\n# TYPE b gauge\n# EOF\n")
    }

    @Test(arguments: [
        (nil, MetricsFormat.text), ("", .text), ("*/*", .text), ("text/html", .text), ("text/plain", .text),
        ("application/openmetrics-text", .openMetrics), ("application/*", .openMetrics),
        ("Application/OpenMetrics-Text; Version=1.0.0 ; charset=\"utf-8\"", .openMetrics),
        ("application/openmetrics-text;version=0.0.1", .text),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", .text),
        // Prometheus 2.42, and 3.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                + "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;"
                + "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics
        ),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", .text),
        ("application/openmetrics-text;q=0, */*", .text), ("text/*;q=0.5, */*", .openMetrics),
        ("application/openmetrics-text;q=abc", .text), (",;=/, application/openmetrics-text;q", .openMetrics),
    ])
    func theClientChooses(accept: String?, format: MetricsFormat) {
        #expect(MetricsFormat(accept: accept) == format)
    }
}

/// Scrapes of the whole service, with a kernel in memory.
@Suite struct ScrapeTests {
    /// Instruments register themselves; this list has their order.
    @Test func everyInstrumentIsWrittenAndInItsPlace() async throws {
        try await withWorld { (world) throws in
            let types = try world.send("GET", "/metrics").text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
            let families = types.map { String($0.split(separator: " ")[2]) }
            let first = try #require(families.firstIndex(of: "tapster_reconcile_passes_total"))
            #expect(
                families[first...].prefix { $0.hasPrefix("tapster_") } == [
                    "tapster_reconcile_passes_total",
                    "tapster_drift_repairs_total",
                    "tapster_kernel_operations_total",
                    "tapster_kernel_errors_total",
                    "tapster_netlink_overruns_total",
                    "tapster_lease_handoffs_total",
                    "tapster_leases_ended_total",
                    "tapster_reconcile_last_success_timestamp_seconds",
                    "tapster_reconcile_pass_devices",
                    "tapster_reconcile_pass_devices_left",
                    "tapster_reconcile_duration_seconds",
                    "tapster_workqueue_wait_seconds",
                    "tapster_database_commit_duration_seconds",
                    "tapster_http_rejected_total",
                    "tapster_watch_dropped_total",
                    "tapster_http_requests_total",
                    "tapster_watchers",
                    "tapster_http_request_duration_seconds",
                ])
        }
    }

    private static let success = #"tapster_statistics_success{network_namespace=""}"#

    private static func count(_ world: World, _ device: String) throws {
        let link = try #require(world.kernel.own.table.first { $0.name == device })
        var statistics = LinkStatistics()
        statistics.received = .init(bytes: 11, packets: 12, errors: 13, dropped: 14)
        statistics.transmitted = .init(bytes: 21, packets: 22, errors: 23, dropped: UInt64.max)
        world.kernel.own.counters.set(link.index, statistics)
    }

    /// A scrape that does not share an earlier text.
    private static func scrape(_ world: World) throws -> String {
        usleep(UInt32(Scrapes.sharedMilliseconds + 10) * 1_000)
        return try world.send("GET", "/metrics").text
    }

    @Test func eachCounterHasItsName() async throws {
        try await withWorld { world in
            try world.state("web0", queues: 1)
            try world.state("web1", queues: 1)
            try Self.count(world, "web0")
            let text = try Self.scrape(world)
            for (side, tens) in [("receive", 10), ("transmit", 20)] {
                for (place, what) in ["bytes", "packets", "errors", "dropped"].enumerated() {
                    let name = "tapster_device_\(side)_\(what)_total"
                    let value = name.contains("transmit_dropped") ? "\(UInt64.max)" : "\(tens + place + 1)"
                    #expect(text.contains("\n\(name){device=\"web0\"} \(value)\n"))
                    // The kernel has not reported the counters of the other one.
                    #expect(!text.contains("\(name){device=\"web1\"}"))
                }
            }
            #expect(text.contains("\n\(Self.success) 1\n"))
            #expect(
                text.contains(
                    "\ntapster_device_info{device=\"web0\",kind=\"tap\",access=\"brokered\",network_namespace=\"\","
                        + "controller=\"\"} 1\n"))
        }
    }

    /// Any number of scrapes within 250 ms share one dump and one text.
    @Test func scrapesShareAText() async throws {
        try await withWorld { world in
            let counters = world.kernel.own.counters
            let began = Date()
            let (before, client) = (counters.reads, try HTTPClient(socket: world.socket))
            var texts: Set<String> = []
            let scrapes = 200
            for _ in 0..<scrapes { texts.insert(try client.send("GET", "/metrics").text) }
            let reads = counters.reads - before
            let most = Date().timeIntervalSince(began) * 1_000 / Double(Scrapes.sharedMilliseconds) + 1
            #expect(Double(reads) <= most)
            #expect(texts.count <= reads + 1)
        }
    }

    @Test func bothFormatsShareADump() async throws {
        try await withWorld { world in
            let client = try HTTPClient(socket: world.socket)
            // On a busy machine, more than 250 ms may pass between the two scrapes.
            try eventually("two formats came from one dump") {
                usleep(UInt32(Scrapes.sharedMilliseconds + 10) * 1_000)
                let before = world.kernel.own.counters.reads
                let text = try client.send("GET", "/metrics")
                let openMetrics = try client.send(
                    "GET", "/metrics", headers: ["Accept": "application/openmetrics-text"])
                #expect(text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
                #expect(
                    openMetrics.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
                #expect(openMetrics.text.hasSuffix("\n# EOF\n"))
                return world.kernel.own.counters.reads == before + 1
            }
        }
    }

    /// A blocked kernel lock delays neither scrapes nor the stop of the daemon.
    @Test func aScrapeDoesNotWaitForTheKernel() async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let world = try World(directory)
                try world.state("web0", queues: 1)
                try Self.count(world, "web0")
                let counters = world.kernel.own.counters
                #expect(try Self.scrape(world).contains("\n\(Self.success) 1\n"))
                counters.block(true)
                for _ in 0..<3 {
                    let text = try Self.scrape(world)
                    #expect(text.contains("\n\(Self.success) 0\n"))
                    #expect(!text.contains("tapster_device_receive_bytes_total{"))
                    #expect(text.contains("\ntapster_device_ready{device=\"web0\"} 1\n"))
                }
                counters.block(false)
                try eventually("the counters are read again") {
                    try Self.scrape(world).contains("\n\(Self.success) 1\n")
                }
                counters.block(true)
                #expect(try Self.scrape(world).contains("\n\(Self.success) 0\n"))
                world.stop()
                counters.block(false)
            }
        }
    }

    @Test func aRefusalIsCounted() async throws {
        try await withWorld { world in
            world.kernel.own.counters.fail(with: Errno(rawValue: 5))
            let text = try Self.scrape(world)
            #expect(text.contains("\n\(Self.success) 0\n"))
            #expect(text.contains(#"tapster_kernel_errors_total{operation="read_statistics",errno="EIO"} 1"#))
        }
    }

    /// A namespace that cannot be entered is reported, and the others are still read.
    @Test func eachNamespaceHasItsOwnSuccess() async throws {
        try await withWorld { world in
            _ = world.kernel.addNamespace(try NetworkNamespace("there"))
            for (device, location) in [("web0", "there"), ("web1", "nowhere")] {
                let spec = #"{"spec": {"networkNamespace": "\#(location)"}}"#
                #expect(try world.send("PUT", "/v1/devices/\(device)?wait=1s", spec).status / 100 == 2)
            }
            let text = try Self.scrape(world)
            #expect(text.contains("\n\(Self.success) 1\n"))
            #expect(text.contains("\ntapster_statistics_success{network_namespace=\"there\"} 1\n"))
            #expect(text.contains("\ntapster_statistics_success{network_namespace=\"nowhere\"} 0\n"))
        }
    }

    /// A rate needs a value before the first event.
    @Test func countersBeginWithZero() async throws {
        try await withWorld { world in
            let text = try world.send("GET", "/metrics").text
            for sample in [
                #"tapster_drift_repairs_total{field="link.mtu"}"#, #"tapster_lease_handoffs_total{result="refused"}"#,
                #"tapster_reconcile_passes_total{result="error"}"#,
                #"tapster_http_rejected_total{reason="bodyTooLarge"}"#,
                "tapster_netlink_overruns_total",
            ] { #expect(text.contains("\n\(sample) 0\n")) }
        }
    }

    /// With the names of Prometheus' client libraries.
    @Test func processMetricsAreExposed() async throws {
        try await withWorld { world in
            let text = try world.send("GET", "/metrics").text
            func value(_ name: String) throws -> Double {
                let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                return try #require(line.flatMap { Double($0.dropFirst(name.count + 1)) }, "\(name)")
            }
            #expect(try value("process_cpu_seconds_total") > 0)
            #expect(try value("process_open_fds") > 3)
            #expect(try value("process_max_fds") >= value("process_open_fds"))
            #expect(try value("process_resident_memory_bytes") > 1e6)
            #expect(try value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"))
            #expect(try value("process_virtual_memory_max_bytes") != 0)
            #expect(try value("process_threads") > 2)
            let started = try value("process_start_time_seconds")
            #expect((Date().timeIntervalSince1970 - 86_400...Date().timeIntervalSince1970 + 2).contains(started))
        }
    }
}
