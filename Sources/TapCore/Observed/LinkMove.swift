/// Where an interface was moved to when it left its network namespace (`IFLA_NEW_NETNSID`, `IFLA_NEW_IFINDEX`).
public struct LinkMove: Hashable, Sendable {
    /// The number of the other namespace in the one that the interface has left (`ip netns list-id`).
    public let namespace: Int32
    /// The interface's number there.
    public let index: LinkIndex

    public init(namespace: Int32, index: LinkIndex) {
        self.namespace = namespace
        self.index = index
    }
}
