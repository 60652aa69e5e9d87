package import TapCore

extension StrayQueues {
    /// Says how many there are, who holds them, and what to do.
    package func message(for spec: DeviceSpec) -> String {
        let parts = [(attached, "attached"), (detached, "detached")].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        let noun = count == 1 ? "queue" : "queues"
        let what =
            spec.access == .brokered
            ? "\(parts.joined(separator: " and ")) \(noun) of no lease" + (count == 1 ? " is open" : " are open")
            : "\(parts.joined(separator: " and ")) \(noun) more than the \(spec.queues.count.value) of the spec "
                + (count == 1 ? "is open" : "are open")
        return "\(what), \(heldBy); \(advice)"
    }

    /// The processes that hold them.
    private var heldBy: String {
        guard let holders else {
            return "held by processes that cannot be found: those of other users are readable with CAP_SYS_PTRACE only"
        }
        return "held by " + holders.map(\.summary).joined(separator: ", ")
    }

    private var advice: String {
        attached == 0
            ? "they get no packets unless their holder attaches them again"
            : "the kernel steers packets to them; end these processes, or replace the interface with recreate=true"
    }
}

extension DescriptorHolder {
    /// Process, command, user and number of descriptors.
    package var summary: String {
        "pid \(process)" + (command.map { " (\($0))" } ?? "") + (user.map { $0 == 0 ? "" : " of user \($0)" } ?? "")
            + (descriptors == 1 ? "" : " with \(descriptors) descriptors")
    }
}
