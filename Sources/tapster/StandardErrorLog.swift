internal import Foundation
internal import Logging

/// The format of log lines.
enum LogFormat: String {
    case text
    case json
}

/// Writes log lines to standard error, where a service manager expects them.
struct StandardErrorLog: LogHandler {
    let format: LogFormat
    let threshold: LogThreshold
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// Changes the level of all logs that share the threshold.
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

    /// Escapes control characters, so that text from clients can neither forge a log line nor control a terminal.
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
            // A dictionary of strings can always be encoded.
            line = (try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        StandardError.say(line)
    }
}
