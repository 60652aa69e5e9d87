internal import Foundation
internal import Glibc
public import TapCore
internal import TapSystem

/// A folder with an empty file for each of Tapster's interfaces, named like the interface. udev's rules tell by it
/// which interfaces are Tapster's (`deploy/70-tapster.rules`). The file exists before the interface, so that it is
/// there when udev receives the interface's first event: at that time the kernel shows nothing else that distinguishes
/// it.
public final class InterfaceMarks {
    /// The folder that `deploy/70-tapster.rules` names.
    public static let defaultFolder = "/run/tapster/interfaces"

    private let folder: FileDescriptor
    private var names: [LinkIndex: String] = [:]
    private var indexes: [String: LinkIndex] = [:]

    /// Makes the folder if necessary, and removes what an earlier process has left in it.
    ///
    /// - Throws: `KernelError` if the folder cannot be used.
    public init(folder path: String) throws(KernelError) {
        do throws(Errno) {
            do throws(Errno) {
                // SAFETY: the call copies the path.
                try systemCall { unsafe mkdir(path, 0o755) }
            } catch {
                guard error == .exists else { throw error }
            }
            folder = try FileDescriptor(opening: path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            // The daemon's umask hides new files from other users.
            let number = folder.number
            try systemCall { fchmod(number, 0o755) }
        } catch {
            throw KernelError("mark_interfaces", error)
        }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] { remove(name) }
    }

    /// Marks a name, before an interface of this name is made. Without a mark, as on a full file system, the host's
    /// other programs take the interface for a foreign one.
    func add(_ name: String) {
        _ = try? FileDescriptor(opening: name, in: folder, flags: O_WRONLY | O_CREAT, mode: 0o644)
    }

    /// Marks an existing interface, even if it is marked already: another process may have removed the file.
    func add(_ name: String, of index: LinkIndex) {
        if names[index] != name {
            remove(index)
            names[index] = name
            indexes[name] = index
        }
        add(name)
    }

    /// Removes the mark of an interface that is gone or no longer Tapster's.
    func remove(_ index: LinkIndex) {
        guard let name = names.removeValue(forKey: index), indexes[name] == index else { return }
        indexes[name] = nil
        remove(name)
    }

    /// Removes the mark of a name, unless it is that of an existing interface.
    func remove(_ name: String) {
        if indexes[name] == nil { try? FileSystem.remove(name, in: folder) }
    }
}
