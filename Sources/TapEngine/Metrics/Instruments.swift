internal import Synchronization
internal import TapSystem

/// Counts or measures something.
package protocol Instrument: Sendable {
    /// What it says now.
    var family: MetricFamily { get }
}

/// One family of an exposition: samples with one name.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable {
        case gauge, counter, histogram
    }

    package enum Value: Sendable {
        case integer(UInt64)
        case real(Double)
    }

    package struct Sample: Sendable {
        /// What follows the family's name, such as `_bucket`.
        package let suffix: String
        package let labels: [(String, String)]
        package let value: Value

        package init(suffix: String = "", labels: [(String, String)] = [], value: Value) {
            self.suffix = suffix
            self.labels = labels
            self.value = value
        }
    }

    package let name: String
    package let help: String
    package let kind: Kind
    package let samples: [Sample]

    package init(name: String, help: String, kind: Kind, samples: [Sample]) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }
}

/// A number that only rises, one for each combination of label values.
package final class Counter: Instrument {
    package let name: String
    package let help: String
    package let labels: [String]
    private let values: Mutex<[[String]: UInt64]>

    /// Without labels, the counter starts at zero instead of being absent: a rate needs a value before the first event.
    ///
    /// - Parameters:
    ///   - name: Ends with `_total`.
    ///   - help: One sentence.
    ///   - labels: Their names.
    ///   - known: Label values that start at zero too.
    package init(_ name: String, _ help: String, labels: [String] = [], known: [[String]] = []) {
        self.name = name
        self.help = help
        self.labels = labels
        values = Mutex(
            Dictionary((labels.isEmpty ? [[]] : known).map { ($0, 0) }, uniquingKeysWith: { first, _ in first }))
    }

    package func increment(_ labelValues: [String], by amount: UInt64 = 1) {
        values.withLock { $0[labelValues, default: 0] += amount }
    }

    package var family: MetricFamily {
        let values = values.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return MetricFamily(
            name: name, help: help, kind: .counter,
            samples: values.map { MetricFamily.Sample(labels: Array(zip(labels, $0.key)), value: .integer($0.value)) })
    }
}

/// A number that goes up and down.
package final class Gauge: Instrument {
    package let name: String
    package let help: String
    private let value = Mutex(0.0)

    package init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    package func set(_ new: Double) { value.withLock { $0 = new } }
    package var current: Double { value.withLock { $0 } }

    package var family: MetricFamily {
        MetricFamily(name: name, help: help, kind: .gauge, samples: [.init(value: .real(current))])
    }
}

/// How long something took, counted in buckets of seconds.
package final class Histogram: Instrument {
    private struct State {
        var counts: [UInt64]
        var sum = 0.0
    }

    package let name: String
    package let help: String
    private let bounds: [Double]
    private let state: Mutex<State>

    package init(
        _ name: String, _ help: String,
        bounds: [Double] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
    ) {
        self.name = name
        self.help = help
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    package func observe(_ duration: Duration) {
        let seconds = duration.inSeconds
        let bucket = bounds.firstIndex { seconds <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += seconds
        }
    }

    package var family: MetricFamily {
        let state = state.withLock { $0 }
        var total: UInt64 = 0
        var samples: [MetricFamily.Sample] = []
        for (bound, count) in zip(bounds.map { "\($0)" } + ["+Inf"], state.counts) {
            total += count
            samples.append(.init(suffix: "_bucket", labels: [("le", bound)], value: .integer(total)))
        }
        samples.append(.init(suffix: "_sum", value: .real(state.sum)))
        samples.append(.init(suffix: "_count", value: .integer(total)))
        return MetricFamily(name: name, help: help, kind: .histogram, samples: samples)
    }
}
