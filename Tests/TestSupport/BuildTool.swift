import Foundation

/// A program that `scripts/setup test` installs in `.build-tools`, or that the host has.
///
/// - Returns: Its path; or only its name, to be found by `PATH`, so that a missing program fails when it is run.
public func buildTool(_ name: String) -> String {
    let root = URL(fileURLWithPath: #filePath).appending(path: "../../..").standardizedFileURL.path
    let path = "\(root)/.build-tools/bin/\(name)"
    return FileManager.default.isExecutableFile(atPath: path) ? path : name
}
