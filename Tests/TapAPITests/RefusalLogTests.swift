import Logging
import TestSupport
import Testing

@testable import TapAPI
@testable import TapEngine

/// The log of rejected requests.
@Suite struct RefusalLogTests {
    private struct Lines: LogHandler {
        let lines: Gathered<String>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            lines.add(([event.message.description] + fields).joined(separator: " "))
        }
    }

    @Test func frequentRefusalsAreSuppressed() {
        let gathered = Gathered<String>()
        let log = RefusalLog(Logger(label: "test") { _ in Lines(lines: gathered) })
        let began = ContinuousClock.now
        for _ in 0..<100 { log.record("192.0.2.1:7", "UNAUTHENTICATED", "no token", at: began) }
        #expect(gathered.all.count == RefusalLog.linesMax)
        #expect(gathered.all.first == "refused code=UNAUTHENTICATED detail=no token source=192.0.2.1:7")
        log.record("192.0.2.2:7", "MISDIRECTED", "misdirected", at: began + RefusalLog.period)
        #expect(
            gathered.all.suffix(2) == [
                "more requests were refused than are logged count=90",
                "refused code=MISDIRECTED detail=misdirected source=192.0.2.2:7",
            ])
        log.record("192.0.2.2:7", "MISDIRECTED", "misdirected", at: began + RefusalLog.period * 2)
        #expect(gathered.all.count == RefusalLog.linesMax + 3)
    }
}
