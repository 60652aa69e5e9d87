internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

/// An interface that is deleted and made anew, so that what processes hold of it is worth nothing.
struct Replacement {
    /// The old interface.
    let index: LinkIndex
    /// The requests that wait until it is gone.
    var replies: [RevocationReply]
}

extension LeaseBroker {
    /// Revokes a lease. With `recreate`, all leases of the device end, and the next pass makes its interface anew; the
    /// reply waits for that.
    func revoke(_ id: LeaseIdentifier, _ revocation: Revocation, _ reply: @escaping RevocationReply) {
        guard let device = devices.values.first(where: { $0.lease(id) != nil }), let lease = device.lease(id) else {
            return reply(.failure(.leaseNotFound(id.text)))
        }
        guard revocation.recreate else {
            end(lease, .revoked)
            return reply(.success(device.name))
        }
        if !revocation.force, let other = device.leases.first(where: { $0 !== lease }) {
            return reply(.failure(.deviceLeased(LeaseView(other, order: device.order))))
        }
        replacements[device.name] = Replacement(index: lease.place.index, replies: [reply])
        for other in device.leases { end(other, other === lease ? .revoked : .recreated) }
        // The pass that follows plans for the device.
        readBack(device.name)
    }

    /// Answers those who wait for the replacement of a device's interface, after a pass over the device.
    ///
    /// - Parameters:
    ///   - name: The device.
    ///   - index: Its interface after the pass; `nil` if it has none.
    ///   - isSettled: Whether the kernel matches its spec, or it is deleted.
    ///   - refusal: Why the pass has failed; `nil` if it has not.
    func concludeReplacement(of name: DeviceName, at index: LinkIndex?, isSettled: Bool, _ refusal: Refusal?) {
        guard var replacement = replacements[name] else { return }
        let isGone = index != replacement.index
        guard isGone || refusal != nil else { return }
        for reply in replacement.replies { reply(isGone ? .success(name) : .failure(refusal ?? .stopping)) }
        replacement.replies = []
        // Kept until there is a new interface, which is made even if the drift policy is `report`.
        replacements[name] = isGone && !isSettled ? replacement : nil
    }

    /// Says which leases end with this process, since nothing keeps their descriptors, and which the service manager
    /// keeps: their consumers go on, but the queues of the former are stray queues for the next process.
    func tellOfLeasesAtStop() {
        let all = devices.values.flatMap(\.leases)
        let kept = kernel.memory == nil ? [] : all.filter(\.isKept)
        let lost = kernel.memory == nil ? all : all.filter { !$0.isKept }
        if !lost.isEmpty {
            log.warning(
                "leases end, since nothing keeps them; their queues are stray queues after the next start",
                metadata: Self.summary(of: lost))
        }
        if !kept.isEmpty {
            log.notice(
                "leases go on after a restart; a stop ends them, unless the unit has FileDescriptorStorePreserve=yes",
                metadata: Self.summary(of: kept))
        }
    }

    /// The number of leases, and their first devices.
    private static func summary(of leases: [Lease]) -> Logger.Metadata {
        let names = Set(leases.map(\.device)).sorted()
        let shown = names.prefix(devicesToldMax).map(\.text).joined(separator: ",")
        return ["leases": "\(leases.count)", "devices": "\(shown)\(names.count > devicesToldMax ? ",…" : "")"]
    }

    /// The most devices that the log names at a stop.
    private static let devicesToldMax = 20

    /// Answers those who wait, since the worker ends.
    func endReplacements() {
        for reply in replacements.values.flatMap(\.replies) { reply(.failure(.stopping)) }
        replacements = [:]
    }
}
