internal import TapCore
internal import TapStore

/// The devices with addresses that another host has, and when to add them again.
struct DuplicateRetries {
    /// The consumers of a device, as far as they are known: the other host may be one of their guests.
    private struct Consumers: Equatable {
        let leases: [LeaseIdentifier]
        let attachedQueues: Int?
        let carrier: Bool

        init(_ view: DeviceView, _ link: ObservedLink?) {
            leases = view.leases.map(\.id)
            attachedQueues = link?.tun?.attachedQueues
            carrier = link?.carrier ?? false
        }
    }

    private var retries: [DeviceName: DuplicateRetry<Consumers>] = [:]

    /// Whether to add the device's addresses again now.
    func isDue(_ view: DeviceView, _ link: ObservedLink?) -> Bool {
        retries[view.record.name]?.isDue(Consumers(view, link), at: .now) ?? false
    }

    /// Notes the outcome of a pass.
    ///
    /// - Returns: When to add the device's addresses again; `nil` if no other host has one.
    mutating func note(_ job: DeviceJob) -> ContinuousClock.Instant? {
        guard job.isSettled else { return nil }
        let name = job.name
        if job.renewsAddresses { retries[name]?.begin(Consumers(job.view, job.link)) }
        switch job.addressUse {
        case .duplicate:
            var retry = retries[name] ?? DuplicateRetry(Consumers(job.view, job.link))
            var generator = SystemRandomNumberGenerator()
            retry.fail(at: .now, using: &generator)
            retries[name] = retry
            return retry.due
        case .usable, .waitingForCarrier: forget(name)
        case .missing, .detecting: break
        }
        return nil
    }

    /// Ends the retries of a device.
    mutating func forget(_ name: DeviceName) {
        if !retries.isEmpty { retries[name] = nil }
    }
}
