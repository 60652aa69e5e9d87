internal import Glibc

/// What a descriptor is that comes back: the service manager passes on whatever it was given.
enum KeptDescriptor {
    case queue
    case socket
    case other

    /// `TUN_MINOR` of the misc devices (`linux/miscdevice.h`).
    private static let tunDevice: dev_t = 10 << 8 | 200

    init(_ descriptor: OwnedDescriptor) {
        var status = stat()
        // SAFETY: the call fills the local.
        guard unsafe fstat(descriptor.number, &status) == 0 else {
            self = .other
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFSOCK: self = .socket
        case S_IFCHR where status.st_rdev == Self.tunDevice: self = .queue
        default: self = .other
        }
    }
}
