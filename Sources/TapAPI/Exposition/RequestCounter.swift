internal import Synchronization
internal import TapEngine

/// Counts the responses of one route.
final class ResponseCounter: Sendable {
    struct Count: Sendable {
        let method: String
        let code: Int
        var value: UInt64
    }

    let route: String
    // Searched from the first to the last: a route has one or two methods and few codes.
    private let counts = Mutex<[Count]>([])

    init(route: String) {
        self.route = route
    }

    func increment(method: String, code: Int) {
        counts.withLock { counts in
            if let index = counts.firstIndex(where: { $0.code == code && $0.method == method }) {
                counts[index].value += 1
            } else {
                counts.append(Count(method: method, code: code, value: 1))
            }
        }
    }

    /// The responses counted so far.
    var current: [Count] { counts.withLock { $0 } }
}

/// Counts all requests, by the counters of their routes.
final class RequestCounter: Instrument {
    private struct Key: Hashable {
        let method: String
        let route: String
        let code: Int
    }

    private static let name = "tapster_http_requests_total"
    /// For unknown paths and methods and rejected callers.
    let other = ResponseCounter(route: "other")
    private let counters = Mutex<[ResponseCounter]>([])

    /// Adds the counters of routes; several routes may have the same pattern.
    func add(_ counters: [ResponseCounter]) { self.counters.withLock { $0 += counters } }

    var family: MetricFamily {
        var values: [Key: UInt64] = [:]
        for counter in counters.withLock({ $0 }) + [other] {
            for count in counter.current {
                values[Key(method: count.method, route: counter.route, code: count.code), default: 0] += count.value
            }
        }
        let sorted = values.sorted {
            ($0.key.route, $0.key.method, $0.key.code) < ($1.key.route, $1.key.method, $1.key.code)
        }
        return MetricFamily(
            name: Self.name, help: "Requests answered.", kind: .counter,
            samples: sorted.map { key, value in
                .init(
                    labels: [("method", key.method), ("route", key.route), ("code", String(key.code))],
                    value: .integer(value))
            })
    }
}
