internal import HashTreeCollections
internal import Logging
internal import TapCore
internal import TapStore

extension Worker {
    /// Checks the claims of devices, and notes those whose interface is another one now.
    func checkClaims(of views: some Sequence<DeviceView>) {
        var check = ClaimCheck(namespaces, accounts: accounts, kernel: kernel)
        check.check(views)
        guard !check.changed.isEmpty else { return }
        let changed = check.changed
        do throws(StoreError) {
            try store.record { transaction in
                for (view, claim) in changed { try transaction.claim(claim, for: view.record.name) }
            }
        } catch {
            // The next start comes to the same conclusion.
            snapshots.setStoreFailure(error.description)
        }
        snapshots.publish(changed.map { WorkerUpdate($0.view, claim: $0.claim) })
        history.add(check.events, settled: [])
        for event in check.events { log.log(event) }
    }

    /// Assigns interfaces to their devices, before any decision, so that no device adopts another's interface.
    func assignInterfaces() {
        // Two locations may refer to one namespace.
        let namespacesByHost = Dictionary(grouping: namespaces.all.values, by: \.observed.host)
        for view in snapshots.current.devices.values {
            guard let claim = view.record.claim, !claim.isLost else { continue }
            for namespace in namespacesByHost[claim.host] ?? [] { namespace.own(claim.index, view.record.name) }
        }
    }
}
