internal import HashTreeCollections
internal import TapCore
internal import TapStore

extension Worker {
    /// Notes the stray queues of a device whose interface has been read, and whether to look at it again in a second.
    func noteStrayQueues(of job: DeviceJob) {
        let name = job.name
        guard let link = job.link, let namespace = job.namespace, !job.isClosed else {
            forgetStrayQueues(of: name)
            return looks.set(name, isNeeded: false)
        }
        let found = StrayQueues(
            of: link, job.view.record.spec, leased: leases.leasedQueues(of: name),
            isAnchored: namespace.observed.anchored.contains(link.index))
        let lasting = strays.note(found, of: name, at: link.index, now: .now)
        // Of an interface that is down the kernel reports no attach, detach or change of the owner.
        looks.set(name, isNeeded: strays.isWatched(name) || !link.up && leases.isLeased(name))
        let old = job.view.status.strayQueues
        guard lasting != nil || old != nil else { return }
        let shown = lasting.flatMap { withHolders($0, of: job.view) }
        let mayTell =
            switch (old, shown) {
            case (_, let shown?) where old == nil || old?.attached == 0 && shown.attached > 0:
                strays.beginTelling(name, areAttached: shown.attached > 0, now: .now)
            case (.some, nil): strays.endTelling(name)
            default: false
            }
        job.setStrayQueues(shown, mayTell: mayTell)
    }

    /// Adds the holders; `nil` until the first search for them has ended, which wakes the worker.
    private func withHolders(_ strays: StrayQueues, of view: DeviceView) -> StrayQueues? {
        let name = view.record.name
        guard let found = survey.holders(of: name, with: strays, ended: { [inbox] in inbox.add([name]) }) else {
            return nil
        }
        var strays = strays
        strays.holders = view.strangers(among: found)
        return strays
    }

    func replacedInterface(of record: DeviceRecord) -> LinkIndex? {
        leases.replacements[record.name]?.index ?? (record.recreate ? strays.interface(of: record.name) : nil)
    }

    /// Answers the requests that wait until the device's interface has been made anew.
    func concludeReplacement(of job: DeviceJob) {
        let refusal: Refusal? =
            switch job.outcome {
            case .open, .settled, .closed: nil
            case .failed(.kernel(let error)): .kernelRefused(error)
            case .failed, .blocked, .namespaceUnavailable: .deviceNotReady(job.name, nil)
            }
        leases.concludeReplacement(
            of: job.name, at: job.isClosed ? nil : job.link?.index, isSettled: job.isSettled || job.isClosed, refusal)
    }

    /// Forgets the stray queues of a device that has no interface.
    func forgetStrayQueues(of name: DeviceName) {
        if strays.forget(name) { survey.forget(name) }
    }
}

extension DeviceView {
    /// The processes that hold more descriptors of the device than they have leased; `nil` if there are none.
    func strangers(among holders: [DescriptorHolder]) -> [DescriptorHolder]? {
        let strangers = holders.filter { holder in
            let leased = leases.filter { $0.process == holder.process }.reduce(0) { $0 + $1.queues.count }
            return holder.descriptors > leased
        }
        return strangers.isEmpty ? nil : strangers
    }
}
