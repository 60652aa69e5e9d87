internal import Foundation

/// Settings from environment variables: `TAPSTER_` and the name of the option.
enum Environment {
    /// - Returns: `nil` if the variable is unset or empty.
    static func value(_ name: String) -> String? {
        ProcessInfo.processInfo.environment["TAPSTER_" + name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
