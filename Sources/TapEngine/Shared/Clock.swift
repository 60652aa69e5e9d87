internal import Foundation
package import TapCore

extension Timestamp {
    /// The current time of the wall clock, in UTC.
    package static func now() -> Timestamp {
        Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1e6))
    }

    func advanced(by duration: Duration) -> Timestamp {
        Timestamp(microseconds: microseconds + Int64(duration / .microseconds(1)))
    }
}
