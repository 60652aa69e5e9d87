internal import Glibc

/// The names of processes, as ps(1) shows them.
public enum ProcessName {
    /// The bytes read; the kernel's limit for a process's name is 15 (`TASK_COMM_LEN`, proc(5)).
    private static let bytesMax = 64

    /// The process's name (`/proc/PID/comm`), which the process itself sets. Unlike its command line, it has no secrets
    /// and lies in the kernel: reading it waits for nothing that the process controls.
    ///
    /// - Returns: `nil` if there is no such process, or this one may not see it (`hidepid`, `ProtectProc=`).
    public static func read(_ process: Int32) -> String? {
        guard process > 0, let file = try? FileDescriptor(opening: "/proc/\(process)/comm", flags: O_RDONLY) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        let number = file.number
        // SAFETY: the kernel writes at most the array's bytes, during the call.
        guard let count = try? systemCall({ unsafe Glibc.read(number, &bytes, bytesMax) }), count > 0 else {
            return nil
        }
        let text = bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self).printable
    }
}

extension String {
    /// The text with `?` for each character that a terminal or a page would not show as itself: controls, which may be
    /// escape sequences, and formats, such as those that reverse the direction of text (U+202E).
    public var printable: String {
        var scalars = UnicodeScalarView()
        for scalar in unicodeScalars { scalars.append(scalar.isPrintable ? scalar : "?") }
        return String(scalars)
    }
}

extension Unicode.Scalar {
    fileprivate var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}
