internal import CLinux
internal import Glibc
internal import TapCore
public import TapSystem

/// A program and its arguments for execvp(3), which searches `PATH` if the name has no slash.
public struct Program: Sendable {
    /// What execvp(3) searches if `PATH` is not set.
    private static let defaultPath = "/bin:/usr/bin"

    /// The program's name or path.
    public let name: String
    /// Without the program's name.
    public let arguments: [String]

    /// - Parameter command: The program, then its arguments; not empty.
    public init(_ command: [String]) {
        name = command[0]
        arguments = Array(command.dropFirst())
    }

    /// Searches for the program as `become` does, so that a mistyped name is reported before any work is done for it.
    ///
    /// - Throws: ENOENT if it was not found; EACCES if it was found but cannot be executed.
    public func find() throws(ProgramFailure) {
        var folders = [""]
        if !name.contains("/") {
            // SAFETY: no thread changes the environment; the text is copied.
            let path = unsafe getenv("PATH").map { unsafe String(cString: $0) }
            folders = (path ?? Self.defaultPath).split(separator: ":", omittingEmptySubsequences: false)
                .map { $0.isEmpty ? "./" : $0 + "/" }
        }
        var reason = Errno.noEntry
        for folder in folders where !name.isEmpty {
            var status = stat()
            // SAFETY: the kernel reads the path and writes the record during the calls.
            guard unsafe stat(folder + name, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFREG, unsafe access(folder + name, X_OK) == 0 { return }
            reason = .accessDenied
        }
        throw ProgramFailure(name, reason)
    }

    /// Replaces this process with the program (execvp(3)), which inherits the descriptors without `FD_CLOEXEC`.
    ///
    /// - Throws: Why the program could not be executed.
    public func become(arguments: [String]) throws(ProgramFailure) -> Never {
        let words = CStrings([name] + arguments)
        // SAFETY: the list ends with a null pointer, and lives until the call fails.
        _ = unsafe execvp(name, words.pointers)
        throw ProgramFailure(name, Errno(rawValue: clinux_errno()))
    }

    /// Starts the program with the descriptors as numbers 3 and up, and sets `LISTEN_PID` as a service manager does.
    ///
    /// - Returns: The process's identifier.
    /// - Throws: ENOENT if the program was not found; EACCES if it cannot be executed; EAGAIN, EMFILE, ENOMEM, E2BIG.
    func spawn(environment: [String: String], descriptors: [Int32]) throws(Errno) -> Int32 {
        let words = CStrings([name] + arguments)
        // The first entry is a placeholder for a variable whose value only the child knows: `LISTEN_PID`.
        let settings = CStrings([""] + environment.map { "\($0)=\($1)" })
        var descriptors = descriptors
        // SAFETY: the arrays live until the call returns; the child works on a copy of them.
        return try systemCall {
            unsafe clinux_spawn(words.pointers, settings.pointers, &descriptors, descriptors.count)
        }
    }
}

/// Why a program was not started.
public struct ProgramFailure: Error, CustomStringConvertible {
    /// The program's name or path.
    public let program: String
    /// Why it could not be executed.
    public let errno: Errno

    public init(_ program: String, _ errno: Errno) {
        self.program = program
        self.errno = errno
    }

    /// As of env(1) and shells: 127 if the program was not found, 126 if it cannot be executed.
    public var exitStatus: Int32 { errno == .noEntry ? 127 : 126 }

    /// Names the program and what is wrong with it.
    public var description: String {
        switch errno {
        case .noEntry where program.contains("/"): "'\(program)' or its interpreter was not found"
        case .noEntry: "'\(program)' was not found in PATH"
        case .accessDenied: "'\(program)' cannot be executed: permission denied"
        default: "'\(program)' cannot be executed: \(errno)"
        }
    }
}

/// A null-terminated array of C strings, as execvp(3) takes it. Valid as long as the object lives.
@safe final class CStrings {
    /// Ends with a null pointer.
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        unsafe pointers = .allocate(capacity: count + 1)
        for (position, string) in strings.enumerated() {
            unsafe (pointers + position).initialize(to: strdup(string))
        }
        unsafe (pointers + count).initialize(to: nil)
    }

    deinit {
        // SAFETY: the first `count` pointers are from strdup. A child replaces the placeholder only in its own copy.
        for position in 0..<count { unsafe free(pointers[position]) }
        unsafe pointers.deallocate()
    }
}
