package import TapCore
internal import TapDocument
package import TapStore

extension DeviceRecord {
    /// The record of an unmanaged device that is adopted unchanged: its spec is derived from the state of the kernel.
    ///
    /// - Parameters:
    ///   - found: The device.
    ///   - settings: What only its descriptors tell.
    ///   - now: The time of the adoption.
    /// - Throws: `Refusal.notAdoptable` if the device has a value that a spec cannot have.
    package init(
        adopting found: UnmanagedDevice, _ settings: DescriptorSettings, at now: Timestamp
    ) throws(Refusal) {
        let (name, spec) = try Self.spec(of: found, settings)
        self.init(name: name, identifier: .random(), labels: .none, spec: spec, createdAt: now)
        claim = Claim(host: found.host, namespace: found.namespace, index: found.link.index, settings: settings)
    }

    private static func spec(
        of found: UnmanagedDevice, _ settings: DescriptorSettings
    ) throws(Refusal) -> (DeviceName, DeviceSpec) {
        do {
            let name = try DeviceName(found.link.name)
            // Encoded and parsed again, since the kernel allows values that a spec does not.
            let document = try DeviceSpec(try DeviceSpecDraft(adopting: found, settings)).document
            // An attribute that equals the kernel's default is left out of the spec, so that the default applies.
            let sizes = found.link.attributes.filter {
                $0.setting.value != .integer(GSOMaxBytes.standard.value)
            }
            return (name, try DeviceSpec(stored: document.merging(["link": .object(sizes.members)])))
        } catch let error as ValidationError {
            throw .notAdoptable(error.detail)
        } catch let error as InvalidDocument {
            throw .notAdoptable(error.issues.map { "\($0.pointer): \($0.detail)" }.joined(separator: "; "))
        } catch let error as SpecContradictions {
            throw .notAdoptable(error.found.map { "\($0.field.rawValue): \($0.detail)" }.joined(separator: "; "))
        } catch {
            throw .notAdoptable("\(error)")
        }
    }
}

extension DeviceSpecDraft {
    /// A spec from the state of the kernel.
    ///
    /// - Throws: `ValidationError` if the device has a value that a spec cannot have.
    fileprivate init(adopting device: UnmanagedDevice, _ settings: DescriptorSettings) throws(ValidationError) {
        self.init()
        let link = device.link
        guard let tun = link.tun else { throw ValidationError("the interface is not a tap or tun device") }
        kind = tun.kind
        // Consumers that open it by name must still be able to.
        access = .open
        let count = min(max((tun.attachedQueues ?? 0) + (tun.detachedQueues ?? 0), 1), QueueCount.bounds.upperBound)
        queues = tun.multiQueue ? .multiple(try QueueCount(count)) : .single
        networkNamespace = device.namespace
        packetInfo = tun.packetInfo
        vnetHeader = tun.vnetHeader
        if let size = settings.vnetHeaderSize { vnetHeaderSize = size }
        offloads = settings.offloads ?? []
        owner = tun.owner.map { .number($0) }
        group = tun.group.map { .number($0) }
        // Its consumers may need what it has, such as its link-local address.
        self.link.ipv6 = .kernelDefault
        self.link.up = link.up
        self.link.mtu = try MTU(link.mtu)
        self.link.macAddress = link.macAddress
        self.link.transmitQueueLength = try TransmitQueueLength(link.transmitQueueLength)
        self.link.queueDiscipline = link.queueDiscipline == "noqueue" ? .noqueue : .kernelDefault
        if device.isControllerForeign {
            self.link.controllerPolicy = .unmanaged
        } else {
            self.link.controller = try device.controller.map { (text) throws(ValidationError) in
                try InterfaceName(text)
            }
        }
        self.link.alias = try link.alias.map { (text) throws(ValidationError) in try LinkAlias(text) }
        var names: [AlternativeName] = []
        for name in link.altNames { names.append(try AlternativeName(name)) }
        self.link.altNames = names.sorted()
    }
}
