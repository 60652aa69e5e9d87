internal import TapCore
internal import TapAPI
internal import TapSystem

extension NetworkAddress {
    /// - Throws: `ValidationError` unless the text is a numeric address and a port.
    init(setting text: String) throws(ValidationError) {
        guard let address = NetworkAddress(text) else {
            throw ValidationError("'\(text)' is not an address such as 127.0.0.1:8480 or [::1]:8480")
        }
        self = address
    }

    /// The values of the Host field that are accepted on this address.
    ///
    /// - Parameter others: The names in the configuration.
    /// - Returns: The address, the other names, and for a loopback or wildcard address the names of the loopback.
    func hosts(and others: Set<HostName>) -> AllowedHosts {
        let usual = isLoopback || isAny ? ["localhost", "127.0.0.1", "::1"] : []
        let own = ([host] + usual).compactMap { try? HostName($0) }
        return AllowedHosts(others.union(own), allowsAddresses: isAny)
    }
}
