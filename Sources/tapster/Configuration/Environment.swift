internal import Foundation

/// Settings from the environment: `TAPSTER_` and the option's name.
enum Environment {
    static func value(_ name: String) -> String? {
        ProcessInfo.processInfo.environment["TAPSTER_" + name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
