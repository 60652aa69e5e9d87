internal import Glibc
internal import TapSystem

/// A file with a secret. It is read only if other users can neither read nor change it.
struct PrivateFile {
    private static let bytesMax = 1 << 20

    let text: String
    let status: FileStatus

    /// - Parameters:
    ///   - path: The path of the file.
    ///   - setting: The key of the setting with the path, for messages.
    ///   - owners: The users that may own the file; `nil` if any user may.
    /// - Throws: `InvalidConfiguration` if the file cannot be read, or other users can read or change it.
    init(_ path: String, of setting: String, owners: Set<UInt32>?) throws(InvalidConfiguration) {
        func failure(_ detail: String) -> InvalidConfiguration {
            InvalidConfiguration([SettingIssue(place: path, detail: "\(setting): \(detail)")])
        }
        let file: FileDescriptor
        do throws(Errno) {
            file = try FileDescriptor(opening: path, flags: O_RDONLY)
        } catch {
            let hint =
                error == .noEntry && setting == Setting.tokensFile.rawValue
                ? "; 'tapster token create --file \(path)' makes it" : ""
            throw failure("the file cannot be opened: \(error.meaning)\(hint)")
        }
        // Checks the open file, not the path, so that the file that is read is the one that was checked.
        guard let status = try? file.status(), status.isRegularFile else { throw failure("it is not a regular file") }
        self.status = status
        guard status.permissions & 0o027 == 0 else {
            let mode = String(status.permissions, radix: 8)
            throw failure("other users can read or change it (its mode is 0\(mode)); chmod 0640 \(path)")
        }
        if let owners, !owners.contains(status.owner) {
            throw failure("its owner is user \(status.owner), but must be root or the daemon's own user")
        }
        guard let bytes = try? file.read(upTo: Self.bytesMax + 1, at: 0), bytes.count <= Self.bytesMax else {
            throw failure("it cannot be read, or has more than \(Self.bytesMax) bytes")
        }
        text = String(decoding: bytes, as: UTF8.self)
    }
}
