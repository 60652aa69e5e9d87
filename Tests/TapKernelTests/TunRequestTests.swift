import Foundation
import TapCore
import Testing

/// Every request of `ioctl(2)` that `drivers/net/tun.c` answers, and what ends the effect of each: a consumer may make
/// all of them with its queue, and none may outlast its lease.
@Suite struct TunRequestTests {
    /// What ends the effect of a request.
    enum End: Hashable {
        /// It only reads.
        case none
        /// It concerns the caller's own file, and ends with it.
        case withTheFile
        /// The kernel accepts it only before the file is attached.
        case refused
        /// It has no effect in current kernels, or only on the kernel's log.
        case noEffect
        /// `clinux_tun_reset()`: before each first lease, and when the last consumer of an open device has gone;
        /// filters also when a lease ends while others stay (`clinux_tun_clear_filters()`).
        case reset
        /// It is negotiated with a guest: set before each first lease, and when the last consumer has gone.
        case setAgain(DeviceField)
        /// rtnetlink reports it, and it is repaired as drift.
        case repaired(DeviceField)
    }

    static let requests: [String: End] = [
        "TUNSETNOCSUM": .noEffect, "TUNSETDEBUG": .noEffect,
        "TUNSETIFF": .withTheFile, "TUNSETQUEUE": .withTheFile, "TUNSETIFINDEX": .refused,
        "TUNSETPERSIST": .repaired(.persistent), "TUNSETOWNER": .repaired(.owner), "TUNSETGROUP": .repaired(.group),
        "TUNSETCARRIER": .repaired(.carrier), "SIOCSIFHWADDR": .repaired(.macAddress),
        // Refused while the interface is up; on one that is down it changes `ifi_type`, which is not compared.
        "TUNSETLINK": .refused,
        "TUNSETOFFLOAD": .setAgain(.offloads), "TUNSETVNETHDRSZ": .setAgain(.vnetHeaderSize),
        "TUNSETTXFILTER": .reset, "TUNATTACHFILTER": .reset, "TUNDETACHFILTER": .reset, "TUNSETSNDBUF": .reset,
        "TUNSETVNETLE": .reset, "TUNSETVNETBE": .reset, "TUNSETSTEERINGEBPF": .reset, "TUNSETFILTEREBPF": .reset,
        "TUNGETFEATURES": .none, "TUNGETIFF": .none, "TUNGETSNDBUF": .none, "TUNGETVNETHDRSZ": .none,
        "TUNGETFILTER": .none, "TUNGETVNETLE": .none, "TUNGETVNETBE": .none, "TUNGETDEVNETNS": .none,
        "SIOCGIFHWADDR": .none, "SIOCGSKNS": .none,
    ]

    /// A request that a newer kernel's header has must be added to the table, and to what Tapster resets.
    @Test func theTableHasEveryRequestOfTheHeader() throws {
        let header = try String(contentsOfFile: "/usr/include/linux/if_tun.h", encoding: .utf8)
        let names = header.split(separator: "\n").compactMap { line -> String? in
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count > 2, words[0] == "#define", words[2].hasPrefix("_IO") else { return nil }
            return String(words[1])
        }
        // Kernels from 4.20 on define 28 of them.
        #expect(names.count >= 28)
        #expect(Set(names).isSubset(of: Self.requests.keys), "\(Set(names).subtracting(Self.requests.keys))")
    }

    /// Each that the table says is reset is named in the function that resets it.
    @Test func everyResetIsMade() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let source = try String(contentsOf: root.appending(path: "Sources/CLinux/clinux.c"), encoding: .utf8)
        let start = try #require(source.range(of: "int clinux_tun_clear_filters(")).lowerBound
        let end = try #require(source.range(of: "int clinux_tun_get_interface(")).lowerBound
        // Detaching a packet filter undoes its attachment.
        for (name, how) in Self.requests where how == .reset && name != "TUNATTACHFILTER" {
            #expect(source[start..<end].contains(name + ","), "\(name)")
        }
    }
}
