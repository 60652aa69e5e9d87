/// The database's history: numbered SQL files, embedded in the binary. A released one never changes.
public struct Migration: Sendable {
    /// The file's name without its ending.
    public let identifier: String
    public let sql: String

    /// All of them, in the order in which they are applied.
    public static let all = [
        Migration("m0001_devices", PackageResources.m0001_devices_sql),
        Migration("m0002_reconciler", PackageResources.m0002_reconciler_sql),
        Migration("m0003_queues", PackageResources.m0003_queues_sql),
        Migration("m0004_history", PackageResources.m0004_history_sql),
        Migration("m0005_history_order", PackageResources.m0005_history_order_sql),
        Migration("m0006_ipv6", PackageResources.m0006_ipv6_sql),
        Migration("m0007_reached_spec", PackageResources.m0007_reached_spec_sql),
        Migration("m0008_claim_inode", PackageResources.m0008_claim_inode_sql),
        Migration("m0009_event_lease", PackageResources.m0009_event_lease_sql),
    ]

    private init(_ identifier: String, _ bytes: [UInt8]) {
        self.identifier = identifier
        sql = String(decoding: bytes, as: UTF8.self)
    }
}
