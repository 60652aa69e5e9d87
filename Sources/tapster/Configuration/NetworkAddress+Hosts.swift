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

    /// The values of Host that requests to this address may have.
    ///
    /// - Parameter others: Those that the configuration names.
    /// - Returns: The address itself, the others, and for a loopback address its usual names.
    func hosts(and others: Set<HostName>) -> AllowedHosts {
        let usual = isLoopback || isAny ? ["localhost", "127.0.0.1", "::1"] : []
        let own = ([host] + usual).compactMap { try? HostName($0) }
        return AllowedHosts(others.union(own), allowsAddresses: isAny)
    }
}
