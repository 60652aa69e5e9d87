internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// Several descriptors stored as one: a socket whose receive buffer holds a message with them (`SCM_RIGHTS`, unix(7)).
///
/// The service manager compares each new descriptor with all that it stores, and passes their names on in one string of
/// at most 128 KiB (`MAX_ARG_STRLEN`, execve(2)). So the descriptors of a lease are stored as one.
struct DescriptorBundle: ~Copyable {
    static let descriptorsMax = DescriptorPassing.descriptorsMax

    private let socket: OwnedDescriptor

    /// - Throws: EMFILE; ETOOMANYREFS if too many descriptors are in unread messages.
    init(_ numbers: ArraySlice<Int32>) throws(Errno) {
        let (keeper, sender) = try Socket.pair(.sequencedPacket, isNonBlocking: true)
        try DescriptorPassing.send([0], with: Array(numbers), over: sender.number)
        socket = keeper
    }

    /// The socket's descriptor, of which the service manager gets a copy.
    var number: Int32 { socket.number }

    /// The position of each bundle's first descriptor, for `count` descriptors.
    static func parts(of count: Int) -> [Int] { Array(stride(from: 0, to: count, by: descriptorsMax)) }

    /// Copies of the descriptors in a bundle. The message stays in the socket, since it may be needed again.
    ///
    /// - Returns: An empty array if the descriptor is not a bundle.
    static func contents(of bundle: OwnedDescriptor) -> [OwnedDescriptor] {
        let message = try? DescriptorPassing.receive(
            upTo: 1, from: bundle.number, flags: MessageFlag.peek | MessageFlag.doNotWait)
        return message?.descriptors ?? []
    }
}
