internal import Foundation
internal import Glibc

/// A file with something that not everybody may know: it is read only where not everybody can.
struct PrivateFile {
    private static let bytesMax = 1 << 20

    let text: String
    /// Whose it is, and its mode's nine bits.
    let owner: uid_t
    let group: gid_t
    let mode: mode_t

    /// - Parameters:
    ///   - path: The file's.
    ///   - setting: Whose value the path is, for people.
    ///   - owners: Who may own it; nothing means everybody.
    /// - Throws: `InvalidConfiguration` when it cannot be read, or others can read or change it.
    init(_ path: String, of setting: String, owners: Set<uid_t>?) throws(InvalidConfiguration) {
        func failure(_ detail: String) -> InvalidConfiguration {
            InvalidConfiguration([SettingIssue(place: path, detail: "\(setting): \(detail)")])
        }
        // SAFETY: the path is copied by the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let hint =
                errno == ENOENT && setting == Setting.tokensFile.rawValue
                ? "; 'tapster token create --file \(path)' makes it" : ""
            throw failure("the file cannot be opened: \(Self.error)\(hint)")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        // Of the open file, so that it cannot be another one when it is read.
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw failure("this is no plain file")
        }
        mode = status.st_mode & 0o777
        owner = status.st_uid
        group = status.st_gid
        guard mode & 0o027 == 0 else {
            throw failure(
                "others can read or change it (its mode is 0\(String(mode, radix: 8))); chmod 0640 \(path)")
        }
        if let owners, !owners.contains(owner) {
            throw failure("it belongs to user \(owner), but must to root or to the daemon's own user")
        }
        guard let data = try? handle.read(upToCount: Self.bytesMax + 1), data.count <= Self.bytesMax else {
            // Nothing is what an empty file has.
            guard status.st_size == 0 else {
                throw failure("it cannot be read, or has more than \(Self.bytesMax) bytes")
            }
            text = ""
            return
        }
        text = String(decoding: data, as: UTF8.self)
    }

    /// strerror(3)
    static var error: String { unsafe String(cString: strerror(errno)) }
}
