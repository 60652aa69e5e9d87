import Testing

/// A feature that a kernel may lack. Debian's own kernels have all: `Tests/Kernels` runs tests there that are skipped
/// elsewhere.
public enum KernelFeature: String, Sendable {
    case vrf

    /// Whether an interface of this kind can be created; tried in a temporary network namespace.
    public var isAvailable: Bool {
        (try? run("unshare", ["--net", "ip", "link", "add", "probe", "type"] + kind)) != nil
    }

    /// The option of ip-link(8).
    private var kind: [String] {
        switch self {
        case .vrf: ["vrf", "table", "1"]
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Runs only if the kernel has the feature.
    public static func needs(_ feature: KernelFeature) -> Self {
        .enabled(if: Privileged.isAvailable && feature.isAvailable, "needs a kernel with \(feature.rawValue)")
    }
}
