internal import CLinux
internal import Glibc
internal import TapCore
public import TapSystem

/// A program and its arguments, as execvp(3) takes them: it is looked for in `PATH` where its name has no slash.
public struct Program: Sendable {
    /// Where execvp(3) looks without `PATH`.
    private static let defaultPath = "/bin:/usr/bin"

    public let name: String
    public let arguments: [String]

    /// - Parameter command: The program, then its arguments; not empty.
    public init(_ command: [String]) {
        name = command[0]
        arguments = Array(command.dropFirst())
    }

    /// Looks for it as `become` will: a mistake is found before anything is done for it.
    ///
    /// - Throws: ENOENT when it is nowhere; EACCES when what was found cannot be executed.
    public func find() throws(ProgramFailure) {
        var folders = [""]
        if !name.contains("/") {
            // SAFETY: nobody changes the environment; the text is copied.
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

    /// Replaces this process, its descriptors without `FD_CLOEXEC` included (execvp(3)).
    ///
    /// - Throws: Why it could not.
    public func become(arguments: [String]) throws(ProgramFailure) -> Never {
        let words = CStrings([name] + arguments)
        // SAFETY: the list ends with a null pointer, and lives until the call fails.
        _ = unsafe execvp(name, words.pointers)
        throw ProgramFailure(name, Errno(rawValue: clinux_errno()))
    }

    /// Starts it with the descriptors from number 3 on, and tells it of them as a service manager does.
    ///
    /// - Returns: The process.
    /// - Throws: ENOENT and EACCES for a program that is not there or cannot be executed; EAGAIN, EMFILE, ENOMEM,
    ///   E2BIG.
    func spawn(environment: [String: String], descriptors: [Int32]) throws(Errno) -> Int32 {
        let words = CStrings([name] + arguments)
        // The first has no name: it is a place for what only the child knows.
        let settings = CStrings([""] + environment.map { "\($0)=\($1)" })
        var descriptors = descriptors
        // SAFETY: the arrays live until the call returns; the child works on a copy of them.
        return try systemCall {
            unsafe clinux_spawn(words.pointers, settings.pointers, &descriptors, descriptors.count)
        }
    }
}

/// Why a program was not started, for people and as env(1) and shells put it into an exit status.
public struct ProgramFailure: Error, CustomStringConvertible {
    public let program: String
    public let errno: Errno

    public init(_ program: String, _ errno: Errno) {
        self.program = program
        self.errno = errno
    }

    public var exitStatus: Int32 { errno == .noEntry ? 127 : 126 }

    public var description: String {
        switch errno {
        case .noEntry where program.contains("/"): "'\(program)' or its interpreter was not found"
        case .noEntry: "'\(program)' was not found in PATH"
        case .accessDenied: "'\(program)' cannot be executed: permission denied"
        default: "'\(program)' cannot be executed: \(errno)"
        }
    }
}

/// Strings as C's argument lists want them, for as long as the object lives.
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
        // SAFETY: the first `count` are strdup's, unless a child has put something else in the place of one, in its
        // copy.
        for position in 0..<count { unsafe free(pointers[position]) }
        unsafe pointers.deallocate()
    }
}
