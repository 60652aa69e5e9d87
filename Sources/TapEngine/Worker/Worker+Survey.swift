internal import TapCore
internal import TapStore

extension Worker {
    /// How long questions may be answered in one pass; those that are left wait for the next survey.
    private static let answersMax = Duration.milliseconds(20)

    /// Answers questions after a full read of the kernel. Lease commands come between two of them.
    ///
    /// - Throws: `KernelError` if waiting for events fails.
    func answer(_ questions: [WorkerInbox.Question]) throws(KernelError) {
        let survey = PassSurvey(self)
        let end = ContinuousClock.now + Self.answersMax
        for (place, question) in questions.enumerated() {
            if place > 0 {
                guard ContinuousClock.now < end, !inbox.isStopping else { return inbox.putBack(questions[place...]) }
                do throws(KernelError) { try listen(until: .now) } catch {
                    inbox.putBack(questions[place...])
                    throw error
                }
            }
            question(survey)
        }
    }
}

/// The answers of one full read of the kernel. Used on the worker's thread.
private final class PassSurvey: Survey {
    private let worker: Worker
    private lazy var devices = worker.unmanaged()

    init(_ worker: Worker) {
        self.worker = worker
    }

    func plans(for records: [DeviceRecord]) -> [DevicePlan] {
        Batch(records.map { DeviceView(record: $0) }, in: worker).plans()
    }

    /// Computed once for all questions.
    func unmanaged() -> [UnmanagedDevice] { devices }

    /// Both values are `nil` if the namespace is not open.
    func settings(of device: UnmanagedDevice) -> DescriptorSettings {
        guard let namespace = worker.namespaces.all[device.namespace] else {
            return DescriptorSettings(vnetHeaderSize: nil, offloads: nil)
        }
        return namespace.kernel.settings(of: device.link)
    }
}

extension Worker {
    /// Tap and tun devices without an owner, in all open namespaces.
    fileprivate func unmanaged() -> [UnmanagedDevice] {
        // Two locations may refer to one namespace.
        let places = Dictionary(namespaces.all.values.map { ($0.observed.host, $0) }) { $0.location == nil ? $0 : $1 }
        return places.values.flatMap { namespace in
            namespace.observed.links.filter { link in
                link.tun != nil && namespace.observed.owners[link.index] == nil
            }.map { link in
                let controller = link.controller.flatMap { namespace.observed[$0] }
                return UnmanagedDevice(
                    link: link, host: namespace.observed.host, namespace: namespace.location,
                    controller: controller?.name, isControllerForeign: controller?.canBeStated == false,
                    addresses: namespace.observed.addresses[link.index] ?? [])
            }
        }
    }
}
