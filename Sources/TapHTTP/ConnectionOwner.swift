internal import Glibc
internal import TapSystem

/// The client to which connections are attributed, for the limit of connections of one client.
enum ConnectionOwner: Hashable {
    /// A user of this host, on the Unix socket.
    case user(UInt32)
    /// An IPv4 address.
    case host([UInt8])
    /// An IPv6 network of 64 bits, within which a host may choose any number of addresses (RFC 4291, section 2.5.4; RFC
    /// 8981).
    case network([UInt8])
    /// Root and the daemon's own user.
    case privileged

    /// The prefix of an IPv4 address that a socket for both protocols reports as an IPv6 address (RFC 4291, section
    /// 2.5.5.2).
    private static let mappedPrefix: [UInt8] = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

    init(_ peer: PeerCredentials) {
        self = peer.user == 0 || peer.user == geteuid() ? .privileged : .user(peer.user)
    }

    init(_ address: NetworkAddress) {
        if !address.isIPv6 {
            self = .host(address.bytes)
        } else if address.bytes.starts(with: Self.mappedPrefix) {
            self = .host(Array(address.bytes.suffix(4)))
        } else {
            self = .network(Array(address.bytes.prefix(8)))
        }
    }
}
