import Testing

/// What a kernel may lack. Debian's own kernels have all of it: `Tests/Kernels` runs there what is skipped elsewhere.
public enum KernelFeature: String, Sendable {
    case vrf

    /// Whether an interface of this kind can be made, which is tried in a network namespace that goes at once.
    public var isAvailable: Bool {
        (try? run("unshare", ["--net", "ip", "link", "add", "probe", "type"] + kind)) != nil
    }

    /// As ip-link(8) has it.
    private var kind: [String] {
        switch self {
        case .vrf: ["vrf", "table", "1"]
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Runs only where the kernel has it.
    public static func needs(_ feature: KernelFeature) -> Self {
        .enabled(if: Privileged.isAvailable && feature.isAvailable, "needs a kernel with \(feature.rawValue)")
    }
}
