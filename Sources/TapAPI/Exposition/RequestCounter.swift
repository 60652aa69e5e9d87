internal import Synchronization
internal import TapEngine

/// Counts the responses of one route, and how long they took.
final class ResponseCounter: Sendable {
    struct Count: Sendable {
        let method: String
        let code: Int
        var value: UInt64
    }

    struct State: Sendable {
        // Searched from the first to the last: a route has one or two methods and few codes.
        var counts: [Count] = []
        var durations = Durations()

        mutating func increment(method: String, code: Int) {
            if let index = counts.firstIndex(where: { $0.code == code && $0.method == method }) {
                counts[index].value += 1
            } else {
                counts.append(Count(method: method, code: code, value: 1))
            }
        }
    }

    let route: String
    private let state = Mutex(State())

    init(route: String) {
        self.route = route
    }

    /// Counts a response, and its duration unless `nil`.
    func count(method: String, code: Int, duration: Duration?) {
        state.withLock { state in
            state.increment(method: method, code: code)
            if let duration { state.durations.insert(duration) }
        }
    }

    /// What was counted so far.
    var current: State { state.withLock { $0 } }
}

/// All requests, counted at their routes.
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

    private var all: [ResponseCounter] { counters.withLock { $0 } + [other] }

    /// The durations of all requests that reached a route.
    var durations: Durations { all.reduce(into: Durations()) { $0.add($1.current.durations) } }

    var family: MetricFamily {
        var values: [Key: UInt64] = [:]
        for counter in all {
            for count in counter.current.counts {
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

/// How long the requests took, by the counters of their routes.
final class RequestDurations: Instrument {
    private let requests: RequestCounter

    init(of requests: RequestCounter) {
        self.requests = requests
    }

    var family: MetricFamily {
        requests.durations.family(
            name: "tapster_http_request_duration_seconds",
            help: "Time from the header fields of a request to its response, including waits.")
    }
}
