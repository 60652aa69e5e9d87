internal import TapCore
internal import TapStore

extension Worker: Survey {
    package func plans(for records: [DeviceRecord]) -> [DevicePlan] {
        Batch(records.map { DeviceView(record: $0) }, in: self).plans()
    }

    package func unmanaged() -> [UnmanagedDevice] {
        // Two locations may lead to one namespace.
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

    package func holders(of names: Set<String>) -> [String: [DescriptorHolder]] { kernel.holders(of: names) }

    package func settings(of device: UnmanagedDevice) -> DescriptorSettings {
        guard let namespace = namespaces.all[device.namespace] else {
            return DescriptorSettings(vnetHeaderSize: nil, offloads: nil)
        }
        return namespace.kernel.settings(of: device.link)
    }
}
