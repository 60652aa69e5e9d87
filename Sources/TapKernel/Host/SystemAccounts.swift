internal import Glibc
public import TapCore

/// The host's users and groups, by getpwnam_r(3) and getgrnam_r(3).
public struct SystemAccounts: Accounts {
    /// A group with many members has a large record. A group with a larger one than this counts as unknown.
    private static let recordBytesMax = 1 << 20

    public init() {}

    /// `nil` if there is no user of the name; a number is not looked up.
    public func userNumber(_ principal: Principal) -> UInt32? {
        switch principal {
        case .number(let id): return id
        case .name(let name):
            return Self.search { buffer in
                var record = unsafe passwd()
                var found: UnsafeMutablePointer<passwd>?
                // SAFETY: the record's pointers lead into `buffer`, and only its number leaves this closure.
                let result = unsafe getpwnam_r(name, &record, &buffer, buffer.count, &found)
                return unsafe (result, found == nil ? nil : record.pw_uid)
            }
        }
    }

    /// `nil` if there is no group of the name; a number is not looked up.
    public func groupNumber(_ principal: Principal) -> UInt32? {
        switch principal {
        case .number(let id): return id
        case .name(let name):
            return Self.search { buffer in
                var record = unsafe group()
                var found: UnsafeMutablePointer<group>?
                // SAFETY: the record's pointers lead into `buffer`, and only its number leaves this closure.
                let result = unsafe getgrnam_r(name, &record, &buffer, buffer.count, &found)
                return unsafe (result, found == nil ? nil : record.gr_gid)
            }
        }
    }

    /// By getpwuid_r(3).
    public func userName(_ number: UInt32) -> String? {
        Self.search { buffer in
            var record = unsafe passwd()
            var found: UnsafeMutablePointer<passwd>?
            // SAFETY: the record's pointers lead into `buffer`, which outlives the copy of the name.
            let result = unsafe getpwuid_r(number, &record, &buffer, buffer.count, &found)
            return unsafe (result, found == nil ? nil : String(cString: record.pw_name))
        }
    }

    /// Repeats the call with a larger buffer while the last one was too small (ERANGE).
    private static func search<Value>(_ lookUp: (inout [CChar]) -> (result: Int32, value: Value?)) -> Value? {
        var bytes = 1_024
        while bytes <= recordBytesMax {
            var buffer = [CChar](repeating: 0, count: bytes)
            let answer = lookUp(&buffer)
            if answer.result != ERANGE { return answer.value }
            bytes *= 4
        }
        return nil
    }
}
