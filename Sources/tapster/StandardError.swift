internal import TapSystem

/// Standard error, for messages of commands.
enum StandardError {
    /// Writes a line.
    static func say(_ line: String) { StandardDescriptors.writeError(line + "\n") }
}
