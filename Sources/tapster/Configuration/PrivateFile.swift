internal import Glibc
internal import TapSystem

/// A file with something that not everybody may know: it is read only where not everybody can.
struct PrivateFile {
    private static let bytesMax = 1 << 20

    let text: String
    let status: FileStatus

    /// - Parameters:
    ///   - path: The file's.
    ///   - setting: The setting that names the path, for people.
    ///   - owners: Who may own it; `nil` means everybody.
    /// - Throws: `InvalidConfiguration` when it cannot be read, or others can read or change it.
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
        // Of the open file, so that it cannot be another one when it is read.
        guard let status = try? file.status(), status.isRegularFile else { throw failure("this is no plain file") }
        self.status = status
        guard status.permissions & 0o027 == 0 else {
            let mode = String(status.permissions, radix: 8)
            throw failure("others can read or change it (its mode is 0\(mode)); chmod 0640 \(path)")
        }
        if let owners, !owners.contains(status.owner) {
            throw failure("it belongs to user \(status.owner), but must to root or to the daemon's own user")
        }
        guard let bytes = try? file.read(upTo: Self.bytesMax + 1, at: 0), bytes.count <= Self.bytesMax else {
            throw failure("it cannot be read, or has more than \(Self.bytesMax) bytes")
        }
        text = String(decoding: bytes, as: UTF8.self)
    }
}
