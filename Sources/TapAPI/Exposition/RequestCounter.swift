internal import Synchronization
internal import TapEngine

/// Counts every request. Its key needs no allocation of its own, unlike the array of label values of `Counter`.
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

    var family: MetricFamily {
        let values = values.withLock { $0 }.sorted {
            ($0.key.route, $0.key.method, $0.key.code) < ($1.key.route, $1.key.method, $1.key.code)
        }
        return MetricFamily(
            name: Self.name, help: "Requests answered.", kind: .counter,
            samples: values.map { key, value in
                .init(
                    labels: [("method", key.method), ("route", key.route), ("code", String(key.code))],
                    value: .integer(value))
            })
    }
}
