internal import Foundation

/// Standard error, for log lines and messages.
enum StandardError {
    /// Writes a line. A failure, such as a full disk or a closed pipe, is ignored, so that it does not end the process.
    static func say(_ line: String) {
        try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
    }
}
