package import HashTreeCollections
package import TapCore

/// Everything that readers may see, as one immutable value.
package struct Snapshot: Sendable {
    package var devices: TreeDictionary<DeviceName, DeviceView> = [:]
    /// The revision of the last committed change.
    package var revision = 0
    /// Two snapshots of one version have the same documents of devices.
    package internal(set) var version: UInt64 = 0
    /// Whether the kernel has been looked at once in full.
    package var isReady = false
    /// Why the worker cannot do its work, if it cannot.
    package var workerFailure: String?
    /// Why the last write to the database failed, if it did.
    package var storeFailure: String?

    /// What `/readyz` says.
    package var isHealthy: Bool { isReady && workerFailure == nil && storeFailure == nil }
}
