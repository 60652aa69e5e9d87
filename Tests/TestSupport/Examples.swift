import Foundation

/// The programs of `deploy/examples`.
public enum Examples {
    /// The path of an example.
    public static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).appending(path: "../../../deploy/examples/\(name)").standardizedFileURL.path
    }

    /// Compiles the C consumer with the command in its header comment.
    ///
    /// - Returns: The program's path.
    public static func compileConsumer(into directory: String) throws -> String {
        let program = directory + "/consumer"
        try run(
            "cc", "-Wall", "-Wextra", "-Werror", "-std=c11", "-O2", "-o", program, path("consumer.c"))
        return program
    }
}
