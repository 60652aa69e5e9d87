internal import CLinux
internal import Glibc
internal import TapCore
internal import TapSystem

/// Several descriptors as one: a socket in which they are under way (`SCM_RIGHTS`, unix(7)), and stay.
///
/// The service manager compares what it gets with each descriptor that it has, and passes their names on in one string
/// of at most 128 KiB (`MAX_ARG_STRLEN` of execve(2)), so what belongs together is one of them.
struct DescriptorBundle: ~Copyable {
    static let descriptorsMax = DescriptorPassing.descriptorsMax

    private let socket: OwnedDescriptor

    /// - Throws: EMFILE; ETOOMANYREFS when too many descriptors are under way.
    init(_ numbers: ArraySlice<Int32>) throws(Errno) {
        let (keeper, sender) = try Socket.pair(SOCK_SEQPACKET, isNonBlocking: true)
        try DescriptorPassing.send([0], with: Array(numbers), over: sender.number)
        socket = keeper
    }

    /// For the service manager, which gets a copy.
    var number: Int32 { socket.number }

    /// The first of each bundle's descriptors, for a number of them.
    static func parts(of count: Int) -> [Int] { Array(stride(from: 0, to: count, by: descriptorsMax)) }

    /// Copies of what is in a bundle, which stays whole: it may be needed again.
    ///
    /// - Returns: Nothing for what is no bundle.
    static func contents(of bundle: OwnedDescriptor) -> [OwnedDescriptor] {
        let message = try? DescriptorPassing.receive(
            upTo: 1, from: bundle.number, flags: Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return message?.descriptors ?? []
    }
}
