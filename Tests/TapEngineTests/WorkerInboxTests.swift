import Synchronization
import TapCore
import TestSupport
import Testing

@testable import TapEngine

/// Limits of the worker's inbox, and what happens to waiting commands when the worker ends.
@Suite struct WorkerInboxTests {
    private struct NoWaker: Waker {
        func wake() {}
    }

    private static func revoke(_ reply: @escaping @Sendable (Refusal) -> Void) -> LeaseCommand {
        .revoke(.random(), Revocation()) { result in
            if case .failure(let refusal) = result { reply(refusal) }
        }
    }

    @Test func commandsAboveTheLimitAreRefusedExceptHandOver() throws {
        let inbox = WorkerInbox(waker: NoWaker())
        let stopped = Mutex(0)
        @Sendable func count(_ refusal: Refusal) {
            if case .stopping = refusal { stopped.withLock { $0 += 1 } }
        }
        for _ in 0..<WorkerInbox.commandsMax { #expect(inbox.add(Self.revoke(count))) }
        #expect(!inbox.add(Self.revoke { _ in Issue.record("it was refused") }))
        // A hand-over completes a grant, so it is always accepted.
        #expect(inbox.add(.handOver(.random(), of: try DeviceName("web0"), vnetHeaderSize: nil, nil)))
        #expect(inbox.drainCommands().count == WorkerInbox.commandsMax + 1)
        #expect(inbox.drainCommands().isEmpty)
        #expect(inbox.add(Self.revoke(count)))
        #expect(stopped.withLock(\.self) == 0)
        // When the worker ends, waiting and later commands are refused.
        inbox.end()
        #expect(stopped.withLock(\.self) == 1)
        #expect(inbox.add(Self.revoke(count)))
        #expect(stopped.withLock(\.self) == 2)
    }
}
