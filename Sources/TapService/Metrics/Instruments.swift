internal import Synchronization

/// Counts or measures something, and writes it as one metric family of an exposition.
protocol Instrument: Sendable {
    func write(to text: inout MetricsText)
}

/// A number that only rises, one for each combination of label values.
final class Counter: Instrument {
    let name: String
    let help: String
    let labels: [String]
    private let values: Mutex<[[String]: UInt64]>

    /// Without labels, the counter starts at zero instead of being absent: a rate needs a value before the first event.
    ///
    /// - Parameters:
    ///   - name: Ends with `_total`.
    ///   - help: One sentence.
    ///   - labels: Their names.
    ///   - known: Label values that start at zero too.
    init(_ name: String, _ help: String, labels: [String] = [], known: [[String]] = []) {
        self.name = name
        self.help = help
        self.labels = labels
        values = Mutex(
            Dictionary((labels.isEmpty ? [[]] : known).map { ($0, 0) }, uniquingKeysWith: { first, _ in first }))
    }

    func increment(_ labelValues: [String], by amount: UInt64 = 1) {
        values.withLock { $0[labelValues, default: 0] += amount }
    }

    func write(to text: inout MetricsText) {
        text.family(name, help, .counter)
        let values = values.withLock { $0 }
        for (labelValues, value) in values.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            text.sample(name, Array(zip(labels, labelValues)), value)
        }
    }
}

/// The one counter that every request raises: its key needs no memory of its own.
final class RequestCounter: Instrument {
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
        text.family(Self.name, "Requests answered.", .counter)
        let values = values.withLock { $0 }
        for (key, value) in values.sorted(by: {
            ($0.key.route, $0.key.method, $0.key.code) < ($1.key.route, $1.key.method, $1.key.code)
        }) {
            text.sample(Self.name, [("method", key.method), ("route", key.route), ("code", String(key.code))], value)
        }
    }
}

/// A number that goes up and down.
final class Gauge: Instrument {
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
        text.family(name, help, .gauge)
        text.sample(name, [], value.withLock { $0 })
    }
}

/// How long something took, counted in buckets of seconds.
final class Histogram: Instrument {
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
        text.family(name, help, .histogram)
        let state = state.withLock { $0 }
        var total: UInt64 = 0
        for (bound, count) in zip(bounds.map { "\($0)" } + ["+Inf"], state.counts) {
            total += count
            text.sample(name + "_bucket", [("le", bound)], total)
        }
        text.sample(name + "_sum", [], state.sum)
        text.sample(name + "_count", [], total)
    }
}
