internal import Foundation
internal import Logging

/// How a log line is written.
enum LogFormat: String {
    case text
    case json
}

/// Log lines on standard error, which is where a service manager expects them.
struct StandardErrorLog: LogHandler {
    let format: LogFormat
    let threshold: LogThreshold
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// Of all logs that share the threshold.
    var logLevel: Logger.Level {
        get { threshold.level }
        set { threshold.level = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    init(format: LogFormat, threshold: LogThreshold) {
        self.format = format
        self.threshold = threshold
    }

    /// What others have said shall not look like a line of ours, nor move a terminal's cursor.
    static func inOneLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
        return text.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }.joined()
    }

    func log(event: LogEvent) {
        var fields = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
        let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let line: String
        switch format {
        case .text:
            let tail = fields.sorted { $0.key < $1.key }.map { " \($0)=\($1)" }.joined()
            line = "\(time) \(event.level) " + Self.inOneLine("\(event.message)\(tail)")
        case .json:
            fields["time"] = time
            fields["level"] = event.level.rawValue
            fields["message"] = "\(event.message)"
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // Strings alone always encode.
            line = (try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        StandardError.say(line)
    }
}
