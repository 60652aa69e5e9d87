import Dispatch
import Foundation
import HashTreeCollections
import Logging
import TapCore
import TapDocument
import TapEngine
import TapStore
import TestSupport
import Testing

/// The engine's package interface, as used by a caller other than HTTP.
@Suite struct EngineTests {
    private static let author = Author(name: "fleet", source: "a test", request: "1")

    private static func input(_ name: String, _ change: (inout DeviceSpecDraft) throws -> Void = { _ in }) throws
        -> DeviceInput
    {
        var draft = DeviceSpecDraft()
        try change(&draft)
        return DeviceInput(name: try DeviceName(name), labels: .none, spec: try DeviceSpec(draft))
    }

    /// Runs an asynchronous operation and returns what it calls back with, which must be once.
    private static func result<Value: Sendable>(
        _ operation: (@escaping @Sendable (Value) -> Void) throws -> Void
    ) throws -> Value {
        let gathered = Gathered<Value>()
        let isAnswered = DispatchSemaphore(value: 0)
        try operation {
            gathered.add($0)
            isAnswered.signal()
        }
        guard isAnswered.wait(timeout: .now() + 20) == .success else { throw TestFailure("no answer") }
        #expect(gathered.all.count == 1)
        return gathered.all[0]
    }

    private func withEngine(
        _ kernel: ModelKernel = ModelKernel(), onChange: @escaping @Sendable () -> Void = {},
        _ body: @escaping @Sendable (Engine) throws -> Void
    ) async throws {
        try await onThread {
            try withTemporaryDirectory { directory in
                let isReady = DispatchSemaphore(value: 0)
                let engine = try Engine(
                    kernel: kernel, store: try Store(path: directory + "/t.db"), accounts: OnlyRoot(),
                    metrics: EngineMetrics(), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                    onChange: onChange
                ) { isReady.signal() }
                try engine.start()
                isReady.wait()
                defer {
                    engine.finishWrites()
                    engine.stop()
                }
                try body(engine)
            }
        }
    }

    private static func apply(
        _ inputs: [DeviceInput], to engine: Engine, _ options: Apply.Options = Apply.Options(),
        prunes: @escaping @Sendable (DeviceRecord) -> Bool = { _ in false }
    ) throws -> Result<Apply.Outcome, Refusal> {
        try result { try engine.apply(inputs, by: author, options, prunes: prunes, reply: $0) }
    }

    private static func wait(for outcome: Apply.Outcome, in engine: Engine) throws -> Snapshot {
        let (snapshot, isReached): (Snapshot, Bool) = try result { reply in
            engine.wait(for: Apply.goals(outcome.records), atMost: .seconds(10)) { reply(($0, $1)) }
        }
        #expect(isReached)
        return snapshot
    }

    @Test func applyReachesTheKernelAndTheWatch() async throws {
        let changes = Gathered<Bool>()
        let kernel = ModelKernel()
        try await withEngine(kernel, onChange: { changes.add(true) }) { engine in
            let begin = try engine.watch(after: nil)
            let inputs = try ["web0", "web1"].map { try Self.input($0) { $0.link.mtu = try MTU(1_400) } }
            let first = try Self.apply(inputs, to: engine).get()
            #expect(first.changes.map(\.change.rawValue) == ["created", "created"])
            let snapshot = try Self.wait(for: first, in: engine)
            #expect(snapshot.devices.values.allSatisfy { $0.phase == .ready })
            #expect(snapshot.revision == first.revision)
            #expect(!changes.all.isEmpty)

            // A watch from the beginning reports each of them.
            var place = begin.place
            var names: Set<DeviceName> = []
            while case .change(let change, let view) = engine.next(after: place) {
                place.sequence = change.sequence
                names.insert(view.record.name)
            }
            #expect(names == Set(inputs.map(\.name)))

            // Applying the same again changes nothing; with prune, a device that is left out is deleted.
            #expect(
                try Self.apply(inputs, to: engine).get().changes.map(\.change.rawValue) == ["unchanged", "unchanged"])
            let second = try Self.apply([inputs[0]], to: engine, prunes: { _ in true }).get()
            #expect(second.changes.map(\.change.rawValue) == ["unchanged", "deleted"])
            #expect(try Self.wait(for: second, in: engine).devices.keys.map(\.text) == ["web0"])
        }
    }

    @Test func dryRunPlansWithoutChanging() async throws {
        try await withEngine { engine in
            var options = Apply.Options()
            options.isDryRun = true
            let outcome = try Self.apply([try Self.input("web0")], to: engine, options).get()
            #expect(outcome.revision == nil)
            let plans = try Self.result { try engine.plan(outcome, reply: $0) }.get()
            #expect(plans.map(\.name.text) == ["web0"])
            #expect(plans[0].steps.first?.name == "create")
            #expect(engine.snapshot.devices.isEmpty)
        }
    }

    @Test func refusalIsACaseOfTheEnum() async throws {
        try await withEngine { engine in
            let outcome = try Self.apply([try Self.input("web0")], to: engine).get()
            _ = try Self.wait(for: outcome, in: engine)
            let changed = try Self.input("web0") { $0.queues = .single }
            guard case .failure(.applyRefused(let refused)) = try Self.apply([changed], to: engine) else {
                throw TestFailure("it was not refused")
            }
            #expect(refused.map(\.place) == [0])
            guard case .immutableFields([.multiQueue]) = refused[0].refusal else {
                throw TestFailure("\(refused[0].refusal)")
            }
            // No part of the refused apply is kept.
            #expect(engine.snapshot.devices.values.allSatisfy { $0.record.spec.queues.isMultiple })
        }
    }

    @Test func surveyReadsTheKernel() async throws {
        try await withEngine { engine in
            let count: Int? = try Self.result { reply in
                try engine.survey { survey in reply(survey?.unmanaged().count) }
            }
            #expect(count == 0)
        }
    }

    /// Questions take at most a tenth of the worker's time.
    @Test func aLongSurveyIsFollowedByAPause() async throws {
        try await withEngine { engine in
            let time = Duration.milliseconds(60)
            let first: ContinuousClock.Instant = try Self.result { reply in
                try engine.survey { _ in
                    Thread.sleep(forTimeInterval: 0.06)
                    reply(.now)
                }
            }
            let second: ContinuousClock.Instant = try Self.result { reply in try engine.survey { _ in reply(.now) } }
            #expect(first.duration(to: second) >= time * 9)
        }
    }

    /// What waits while the worker answers is answered after one more read.
    @Test func waitingQuestionsShareARead() async throws {
        let kernel = ModelKernel()
        try await withEngine(kernel) { engine in
            let (isAnswering, mayAnswer) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
            try engine.survey { _ in
                isAnswering.signal()
                mayAnswer.wait()
            }
            isAnswering.wait()
            let reads = kernel.own.dumpCount
            let answered = Gathered<Int>()
            for number in 0..<20 {
                if number % 2 == 0 {
                    try engine.survey { _ in answered.add(number) }
                } else {
                    try engine.reconcile(nil) { _ in answered.add(number) }
                }
                // A look for which no client waits takes no place among the questions.
                for _ in 0..<10 { try engine.reconcile(nil, reply: nil) }
            }
            mayAnswer.signal()
            try eventually("all are answered") { answered.all.count == 20 }
            #expect(answered.all == Array(0..<20))
            #expect(kernel.own.dumpCount == reads + 1)
        }
    }
}
