internal import TapCore
internal import TapStore

extension Worker: Survey {
    /// The steps for each of the records, without carrying them out.
    package func plans(for records: [DeviceRecord]) -> [DevicePlan] {
        Batch(records.map { DeviceView(record: $0) }, in: self).plans()
    }

    /// Tap and tun devices without an owner, in all open namespaces.
    package func unmanaged() -> [UnmanagedDevice] {
        // Two locations may refer to one namespace.
        let places = Dictionary(namespaces.all.values.map { ($0.observed.host, $0) }) { $0.location == nil ? $0 : $1 }
        return places.values.flatMap { namespace in
            namespace.observed.links.filter { link in
                link.tun != nil && namespace.observed.owners[link.index] == nil
            }.map { link in
                UnmanagedDevice(
                    link: link, host: namespace.observed.host, namespace: namespace.location,
                    controller: link.controller.flatMap { namespace.observed[$0]?.name },
                    addresses: namespace.observed.addresses[link.index] ?? [])
            }
        }
    }

    /// The processes that hold interfaces of these names open.
    package func holders(of names: Set<String>) -> [String: [DescriptorHolder]] { kernel.holders(of: names) }

    /// The vnet header size and offloads, which only a descriptor can report; both `nil` if its namespace is not open.
    package func settings(of device: UnmanagedDevice) -> DescriptorSettings {
        guard let namespace = namespaces.all[device.namespace] else {
            return DescriptorSettings(vnetHeaderSize: nil, offloads: nil)
        }
        return namespace.kernel.settings(of: device.link)
    }
}
