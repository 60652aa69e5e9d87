import Foundation
import TapCore
import TestSupport
import Testing

@testable import TapKernel

/// Deleting many devices at once by an interface group, which other interfaces might be in too.
@Suite(.privileged) struct DeletionTests {
    private static func open() throws -> LinuxNamespace {
        try #require(try LinuxKernel().open(nil) as? LinuxNamespace)
    }

    /// Creates taps, and returns their interface numbers.
    private static func make(_ names: [String], _ kernel: LinuxNamespace) throws -> [LinkIndex] {
        try withTemporaryDirectory { directory in
            let lines = names.map { "tuntap add dev \($0) mode tap\n" }.joined()
            try lines.write(toFile: directory + "/batch", atomically: true, encoding: .utf8)
            try run("ip", "-batch", directory + "/batch")
        }
        return try kernel.links().filter { names.contains($0.name) }.map(\.index)
    }

    private static func names(_ kernel: LinuxNamespace) throws -> [String] {
        try kernel.links().map(\.name).filter { $0 != "lo" }.sorted()
    }

    @Test func manyDevicesAreDeletedInOneCall() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let indexes = try Self.make((0..<50).map { "t\($0)" }, kernel)
            _ = try Self.make(["other"], kernel)
            #expect(indexes.count == 50)
            _ = try kernel.signals()
            #expect(kernel.delete(indexes).isEmpty)
            #expect(try Self.names(kernel) == ["other"])
            #expect(try kernel.signals().touched.isSuperset(of: indexes))
            // Deleting devices that are gone already succeeds, for one and for many.
            #expect(kernel.delete(indexes).isEmpty)
            #expect(kernel.delete([indexes[0]]).isEmpty)
        }
    }

    @Test func otherInterfacesOfTheGroupSurvive() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let ours = try Self.make(["a", "b", "c"], kernel)
            _ = try Self.make(["foreign"], kernel)
            try run("ip", "link", "set", "foreign", "group", "4711")
            #expect(try kernel.delete(ours, as: 4_711) == nil)
            #expect(try Self.names(kernel) == ["a", "b", "c", "foreign"])
            // The other group has no other interface.
            #expect(try kernel.delete(ours, as: 4_712) == [:])
            #expect(try Self.names(kernel) == ["foreign"])
            #expect(try kernel.links().first { $0.name == "foreign" }?.group == 4_711)
        }
    }

    @Test func devicesThatAreGoneAreSkipped() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let indexes = try Self.make(["a", "b", "c"], kernel)
            try run("ip", "link", "del", "dev", "b")
            #expect(try kernel.delete(indexes, as: 4_711) == [:])
            #expect(try Self.names(kernel) == [])
        }
    }

    @Test func theKernelsFeaturesAreRead() async throws {
        try await inNamespace {
            let features = try LinuxKernel().features
            #expect(features.isSuperset(of: .all))
            #expect(features.refusals(of: try DeviceSpec(DeviceSpecDraft())) == [])
        }
    }

    @Test func addedAddressesAreRecognised() async throws {
        try await inNamespace {
            let kernel = try Self.open()
            let index = try #require(try Self.make(["web0"], kernel).first)
            try run("ip", "link", "set", "web0", "up")
            try run("ip", "address", "add", "203.0.113.9/24", "dev", "web0")
            let ours = try ["192.0.2.1/24", "2001:db8::1/64"].map { try InterfaceAddress($0) }
            var runs = [
                StepRun(ours.map { .addAddress($0, detectsDuplicates: true) }, on: try DeviceName("web0"), at: index)
            ]
            kernel.perform(&runs) { _ in }
            #expect(runs[0].failure == nil)
            let foreign = ObservedAddress(try InterfaceAddress("203.0.113.9/24"), origin: .other)
            let found = try #require(try kernel.addresses()[index])
            // Without a carrier the IPv6 address stays tentative.
            #expect(
                Set(found.map { ObservedAddress($0.address, origin: $0.origin) })
                    == Set(ours.map { ObservedAddress($0, origin: .tapster) } + [foreign]))
            // Adding an address twice has no effect, and removing it twice succeeds.
            let removals = ours.map { Step.removeAddress($0) }
            runs = [
                StepRun(
                    ours.map { .addAddress($0, detectsDuplicates: true) } + removals + removals,
                    on: try DeviceName("web0"), at: index)
            ]
            kernel.perform(&runs) { _ in }
            #expect(runs[0].failure == nil)
            #expect(try kernel.addresses()[index] == [foreign])
        }
    }
}
