internal import Foundation

/// Where people and service managers read what goes on.
enum StandardError {
    /// Writes a line. What cannot be written is lost: a full disk behind it, or a reader that has gone, shall end
    /// nothing.
    static func say(_ line: String) {
        try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
    }
}
