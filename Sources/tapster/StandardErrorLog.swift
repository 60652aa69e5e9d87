internal import Foundation
internal import Logging

/// The format of log lines.
enum LogFormat: String {
    case text
    case json

    /// One log line, without its line feed.
    func line(_ level: Logger.Level, _ message: String, _ fields: [String: String]) -> String {
        let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        switch self {
        case .text:
            let tail = fields.sorted { $0.key < $1.key }.map { " \($0)=\($1)" }.joined()
            return "\(time) \(level) " + Self.inOneLine(message + tail) { $0.escaped(asASCII: true) }
        case .json:
            var fields = fields
            fields["time"] = time
            fields["level"] = level.rawValue
            fields["message"] = message
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // A dictionary of strings can always be encoded.
            let text = (try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            return Self.inOneLine(text) { scalar in
                String(scalar).utf16.map { "\\u" + String(0x1_0000 + UInt32($0), radix: 16).dropFirst() }.joined()
            }
        }
    }

    /// Escapes control characters, line separators, and format characters such as those that reverse the direction of
    /// writing, so that text from clients can neither forge a log line nor control a terminal.
    static func inOneLine(_ text: String, _ escape: (Unicode.Scalar) -> String) -> String {
        func isSafe(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: false
            default: true
            }
        }
        guard !text.unicodeScalars.allSatisfy(isSafe) else { return text }
        return text.unicodeScalars.map { isSafe($0) ? String($0) : escape($0) }.joined()
    }
}

/// Writes log lines to standard error, where a service manager expects them.
struct StandardErrorLog: LogHandler {
    let format: LogFormat
    let threshold: LogThreshold
    let writer: LogWriter
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

    init(format: LogFormat, threshold: LogThreshold, writer: LogWriter) {
        self.format = format
        self.threshold = threshold
        self.writer = writer
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
        writer.write(format.line(event.level, "\(event.message)", fields))
    }
}
