internal import Synchronization
internal import TapSystem

/// A metric with its current samples.
package protocol Instrument: Sendable {
    /// The current samples.
    var family: MetricFamily { get }
}

/// A metric family of a Prometheus exposition: samples that share a name.
package struct MetricFamily: Sendable {
    /// The `# TYPE` of the family.
    package enum Kind: String, Sendable {
        case gauge, counter, histogram
    }

    /// A sample's value.
    package enum Value: Sendable {
        case integer(UInt64)
        case real(Double)
    }

    /// One line of the family.
    package struct Sample: Sendable {
        /// Appended to the family's name, such as `_bucket`.
        package let suffix: String
        /// Names and values.
        package let labels: [(String, String)]
        /// The sampled value.
        package let value: Value

        package init(suffix: String = "", labels: [(String, String)] = [], value: Value) {
            self.suffix = suffix
            self.labels = labels
            self.value = value
        }
    }

    /// The metric name, without a sample's suffix.
    package let name: String
    /// The `# HELP` text.
    package let help: String
    /// The metric type.
    package let kind: Kind
    /// In the order of the exposition.
    package let samples: [Sample]

    package init(name: String, help: String, kind: Kind, samples: [Sample]) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }
}

/// A number that only increases, one for each combination of label values.
package final class Counter: Instrument {
    /// The metric name.
    package let name: String
    /// The `# HELP` text.
    package let help: String
    /// Label names.
    package let labels: [String]
    private let values: Mutex<[[String]: UInt64]>

    /// Creates a counter. Without labels it starts at zero instead of being absent: a rate needs a value before the
    /// first event.
    ///
    /// - Parameters:
    ///   - name: Ends with `_total`.
    ///   - help: One sentence.
    ///   - labels: Label names.
    ///   - known: Label values that start at zero too.
    package init(_ name: String, _ help: String, labels: [String] = [], known: [[String]] = []) {
        self.name = name
        self.help = help
        self.labels = labels
        values = Mutex(
            Dictionary((labels.isEmpty ? [[]] : known).map { ($0, 0) }, uniquingKeysWith: { first, _ in first }))
    }

    /// Adds to the counter of these label values.
    package func increment(_ labelValues: [String], by amount: UInt64 = 1) {
        values.withLock { $0[labelValues, default: 0] += amount }
    }

    /// One sample for each combination of label values.
    package var family: MetricFamily {
        let values = values.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return MetricFamily(
            name: name, help: help, kind: .counter,
            samples: values.map { MetricFamily.Sample(labels: Array(zip(labels, $0.key)), value: .integer($0.value)) })
    }
}

/// A number that goes up and down.
package final class Gauge: Instrument {
    /// The metric name.
    package let name: String
    /// The `# HELP` text.
    package let help: String
    private let value = Mutex(0.0)

    package init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    /// Replaces the value.
    package func set(_ new: Double) { value.withLock { $0 = new } }
    /// The current value.
    package var current: Double { value.withLock { $0 } }

    /// One sample without labels.
    package var family: MetricFamily {
        MetricFamily(name: name, help: help, kind: .gauge, samples: [.init(value: .real(current))])
    }
}

/// A distribution of durations, counted in buckets of seconds.
package struct Durations: Sendable {
    private static let bounds = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
    private static let limits: [Duration] = bounds.map { .seconds($0) }

    private var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    private var sum = Duration.zero

    /// No durations.
    package init() {}

    /// Counts a duration in its bucket.
    package mutating func insert(_ duration: Duration) {
        counts[Self.limits.firstIndex { duration <= $0 } ?? Self.limits.count] += 1
        sum += duration
    }

    /// Adds the durations of another distribution.
    package mutating func add(_ other: Durations) {
        for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
        sum += other.sum
    }

    /// Cumulative buckets, the sum in seconds, and the count.
    package func family(name: String, help: String) -> MetricFamily {
        var total: UInt64 = 0
        var samples: [MetricFamily.Sample] = []
        for (bound, count) in zip(Self.bounds.map { "\($0)" } + ["+Inf"], counts) {
            total += count
            samples.append(.init(suffix: "_bucket", labels: [("le", bound)], value: .integer(total)))
        }
        samples.append(.init(suffix: "_sum", value: .real(sum.inSeconds)))
        samples.append(.init(suffix: "_count", value: .integer(total)))
        return MetricFamily(name: name, help: help, kind: .histogram, samples: samples)
    }
}

/// A distribution of durations that several threads observe.
package final class Histogram: Instrument {
    /// The metric name.
    package let name: String
    /// The `# HELP` text.
    package let help: String
    private let durations = Mutex(Durations())

    package init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    /// Counts a duration in its bucket.
    package func observe(_ duration: Duration) { durations.withLock { $0.insert(duration) } }

    /// The samples of a distribution.
    package var family: MetricFamily { durations.withLock { $0 }.family(name: name, help: help) }
}
