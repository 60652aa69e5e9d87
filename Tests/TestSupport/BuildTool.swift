import Foundation

/// A program that `scripts/setup test` puts into `.build-tools`, or that the host has.
///
/// - Returns: Its path, or its name alone where it is for the shell's path to find; who runs it is told when it is
///   missing.
public func buildTool(_ name: String) -> String {
    let root = URL(fileURLWithPath: #filePath).appending(path: "../../..").standardizedFileURL.path
    let path = "\(root)/.build-tools/bin/\(name)"
    return FileManager.default.isExecutableFile(atPath: path) ? path : name
}
