internal import TapEngine
internal import TapHTTP

/// A text format of metrics.
enum MetricsFormat: CaseIterable, Hashable, Sendable {
    /// Prometheus' text format 0.0.4.
    case text
    /// OpenMetrics 1.0.
    case openMetrics

    var contentType: String {
        switch self {
        case .text: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The format that the client prefers; `text` if it prefers neither, as in Prometheus' client libraries.
    init(accept: String?) {
        let accept = AcceptHeader(accept)
        let parameters = ["charset": "utf-8"]
        let text = accept.quality(
            of: "text/plain", parameters.merging(["version": "0.0.4"], uniquingKeysWith: { $1 }))
        let openMetrics = accept.quality(
            of: "application/openmetrics-text", parameters.merging(["version": "1.0.0"], uniquingKeysWith: { $1 }))
        self = openMetrics > text ? .openMetrics : .text
    }
}

/// Writes metrics as bytes, not as strings, for speed: a thousand devices have some fifteen thousand lines.
struct MetricsText {
    let format: MetricsFormat
    /// The text so far, in UTF-8.
    package private(set) var bytes: [UInt8] = []

    init(_ format: MetricsFormat = .text, bytesExpected: Int = 0) {
        self.format = format
        bytes.reserveCapacity(bytesExpected)
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Begins a family of samples.
    ///
    /// - Parameters:
    ///   - name: With `_total` for a counter; OpenMetrics names the family without it.
    ///   - help: A sentence without line breaks and backslashes.
    ///   - kind: The type of the metric.
    mutating func family(_ name: String, _ help: String, _ kind: MetricFamily.Kind = .gauge) {
        var name = name[...]
        if format == .openMetrics, kind == .counter, name.hasSuffix("_total") { name = name.dropLast("_total".count) }
        append("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n")
        if format == .openMetrics, let unit = Self.units.first(where: { name.hasSuffix("_" + $0) }) {
            append("# UNIT \(name) \(unit)\n")
        }
    }

    mutating func write(_ family: MetricFamily) {
        self.family(family.name, family.help, family.kind)
        for sample in family.samples {
            let name = family.name + sample.suffix
            switch sample.value {
            case .integer(let value): self.sample(name, sample.labels, value)
            case .real(let value): self.sample(name, sample.labels, value)
            }
        }
    }

    private static let units = ["seconds", "bytes"]

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: UInt64) {
        append(name)
        append(labels)
        finish(value)
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        append(name)
        append(labels)
        finish(value)
    }

    /// Ends the text: OpenMetrics needs `# EOF`.
    mutating func end() {
        if format == .openMetrics { append("# EOF\n") }
    }

    private mutating func append(_ labels: [(String, String)]) {
        for (place, (name, value)) in labels.enumerated() {
            append(place == 0 ? "{" : ",")
            append("\(name)=\"")
            append(escaping: value)
            append("\"")
        }
        if !labels.isEmpty { append("}") }
    }

    // MARK: Parts of a line

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func append(_ part: [UInt8]) { bytes.append(contentsOf: part) }

    /// A label's value, escaped.
    mutating func append(escaping value: String) {
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): bytes += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            default: bytes.append(byte)
            }
        }
    }

    /// The value of a line, and the line feed.
    mutating func finish(_ value: UInt64) {
        bytes.append(UInt8(ascii: " "))
        let start = bytes.count
        var rest = value
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        // The digits were written in reverse order.
        var (first, last) = (start, bytes.count - 1)
        while first < last {
            bytes.swapAt(first, last)
            first += 1
            last -= 1
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func finish(_ value: Double) {
        if let whole = UInt64(exactly: value) { return finish(whole) }
        append(" \(value)\n")
    }
}
