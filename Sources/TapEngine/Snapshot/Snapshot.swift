package import HashTreeCollections
package import TapCore
internal import TapStore

/// The published state of all devices, as an immutable value.
package struct Snapshot: Sendable {
    /// All devices, those that are being deleted included.
    package var devices: TreeDictionary<DeviceName, DeviceView> = [:]
    /// The revision of the last committed change.
    package var revision = 0
    /// Snapshots with the same version have the same device documents.
    package internal(set) var version: UInt64 = 0
    /// Whether the first full pass has ended.
    package var isReady = false
    /// Why the kernel cannot be read; `nil` if it can.
    package var workerFailure: String?
    /// Why the daemon can manage no interface, in its own or in a wanted namespace; `nil` if it can.
    package var missingAbility: String?
    /// Why the last write to the database failed; `nil` if it succeeded.
    package var storeFailure: String?

    /// Whether `/readyz` succeeds.
    package var isHealthy: Bool {
        isReady && workerFailure == nil && missingAbility == nil && storeFailure == nil
    }

    /// The devices that are wanted, or exist, in a namespace other than the daemon's.
    var devicesInOtherNamespaces: Set<DeviceName> {
        Set(
            devices.values.lazy
                .filter { $0.record.spec.networkNamespace != nil || $0.record.claim?.namespace != nil }
                .map(\.record.name))
    }
}
