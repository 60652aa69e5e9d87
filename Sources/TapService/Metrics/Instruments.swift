internal import Synchronization

/// A number that only rises, one for each combination of label values.
final class Counter: Sendable {
    let name: String
    let help: String
    let labels: [String]
    private let values: Mutex<[[String]: UInt64]>

    /// Without labels, the counter starts at zero instead of being absent.
    init(_ name: String, _ help: String, labels: [String] = []) {
        self.name = name
        self.help = help
        self.labels = labels
        values = Mutex(labels.isEmpty ? [[]: 0] : [:])
    }

    func increment(_ labelValues: [String], by amount: UInt64 = 1) {
        values.withLock { $0[labelValues, default: 0] += amount }
    }

    func write(to text: inout MetricsText) {
        text.family(name, help, type: "counter")
        let values = values.withLock { $0 }
        for (labelValues, value) in values.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            text.sample(name, Array(zip(labels, labelValues)), Double(value))
        }
    }
}

/// The one counter that every request raises: its key needs no memory of its own.
final class RequestCounter: Sendable {
    private struct Key: Hashable, Sendable {
        let method: String
        let route: String
        let code: Int
    }

    private static let name = "tapster_http_requests_total"
    private let values = Mutex<[Key: UInt64]>([:])

    func increment(method: String, route: String, code: Int) {
        values.withLock { $0[Key(method: method, route: route, code: code), default: 0] += 1 }
    }

    func write(to text: inout MetricsText) {
        text.family(Self.name, "Requests answered.", type: "counter")
        let values = values.withLock { $0 }
        for (key, value) in values.sorted(by: {
            ($0.key.route, $0.key.method, $0.key.code) < ($1.key.route, $1.key.method, $1.key.code)
        }) {
            text.sample(
                Self.name, [("method", key.method), ("route", key.route), ("code", String(key.code))], Double(value))
        }
    }
}

/// A number that goes up and down.
final class Gauge: Sendable {
    let name: String
    let help: String
    private let value = Mutex(0.0)

    init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    func set(_ new: Double) { value.withLock { $0 = new } }
    var current: Double { value.withLock { $0 } }

    func write(to text: inout MetricsText) {
        text.family(name, help, type: "gauge")
        text.sample(name, [], value.withLock { $0 })
    }
}

/// How long something took, counted in buckets of seconds.
final class Histogram: Sendable {
    private struct State {
        var counts: [UInt64]
        var sum = 0.0
    }

    let name: String
    let help: String
    private let bounds: [Double]
    private let state: Mutex<State>

    init(
        _ name: String, _ help: String,
        bounds: [Double] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
    ) {
        self.name = name
        self.help = help
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func observe(_ duration: Duration) {
        let (whole, attoseconds) = duration.components
        let seconds = Double(whole) + Double(attoseconds) / 1e18
        let bucket = bounds.firstIndex { seconds <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += seconds
        }
    }

    func write(to text: inout MetricsText) {
        text.family(name, help, type: "histogram")
        let state = state.withLock { $0 }
        var total: UInt64 = 0
        for (bound, count) in zip(bounds.map { "\($0)" } + ["+Inf"], state.counts) {
            total += count
            text.sample(name + "_bucket", [("le", bound)], Double(total))
        }
        text.sample(name + "_sum", [], state.sum)
        text.sample(name + "_count", [], Double(total))
    }
}

/// Prometheus' text format 0.0.4.
struct MetricsText {
    private(set) var text = ""

    mutating func family(_ name: String, _ help: String, type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\(Self.escape($1))\"" }.joined(separator: ",") + "}"
        }
        text += value == value.rounded() && abs(value) < 1e15 ? " \(Int(value))\n" : " \(value)\n"
    }

    private static func escape(_ value: String) -> String {
        var escaped = ""
        for character in value {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
