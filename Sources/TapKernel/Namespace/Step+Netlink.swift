internal import TapCore
internal import TapSystem

extension Step {
    /// Whether it is performed by an rtnetlink message.
    var isLinkChange: Bool {
        switch self {
        case .setLink, .restorePort, .setQueueDiscipline, .setCarrier, .addAltNames, .removeAltNames, .addAddress,
            .removeAddress:
            true
        case .create, .attach, .setOwner, .setGroup, .setVnetHeaderSize, .setOffloads, .setIPv6,
            .removeLearnedRoutes, .claim, .persist, .anchor, .release, .delete, .forget:
            false
        }
    }
}

extension LinkRequest {
    /// The rtnetlink request for a step; `nil` if it is performed otherwise.
    init?(_ step: Step, on index: LinkIndex) {
        switch step {
        case .setLink(let change): self = .change(index, change)
        case .restorePort(let settings): self = .setPort(index, settings)
        case .setQueueDiscipline(let discipline): self = .queueDiscipline(index, discipline)
        case .setCarrier(let on): self = .setCarrier(index, on)
        case .addAltNames(let names): self = .addAltNames(index, names.map(\.text))
        case .removeAltNames(let names): self = .removeAltNames(index, names)
        case .addAddress(let address, let detectsDuplicates):
            self = .addAddress(index, address, detectsDuplicates: detectsDuplicates)
        case .removeAddress(let address): self = .removeAddress(index, address)
        case .create, .attach, .setOwner, .setGroup, .setVnetHeaderSize, .setOffloads, .setIPv6,
            .removeLearnedRoutes, .claim, .persist, .anchor, .release, .delete, .forget:
            return nil
        }
    }
}

extension NetlinkRefusal {
    /// Whether the refusal means only that another process was faster: the next pass finds the step done, or plans
    /// another one.
    func isHarmless(for step: Step) -> Bool {
        switch step {
        case .removeAddress: errno == .addressNotAvailable
        // An event says which settings are not there when the port is read back.
        case .restorePort: true
        // The consumer whose queues should get the carrier has closed them.
        case .setCarrier(true): errno == .noPermission
        default: false
        }
    }
}

extension KernelError {
    init(_ operation: String, _ refusal: NetlinkRefusal, advice: String? = nil) {
        self.init(operation, refusal.errno, advice: advice ?? refusal.message)
    }
}
