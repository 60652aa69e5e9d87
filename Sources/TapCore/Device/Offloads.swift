/// Work on packets that the host leaves to the consumer (`TUNSETOFFLOAD`, the `TUN_F_` flags of `linux/if_tun.h`).
public struct Offloads: OptionSet, Hashable, Sendable {
    /// The kernel's `TUN_F_` bits.
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// `TUN_F_CSUM`: packets may have incomplete checksums.
    public static let checksum = Offloads(rawValue: 0x01)
    /// `TUN_F_TSO4`: TCP segments over IPv4 may be larger than the MTU.
    public static let tso4 = Offloads(rawValue: 0x02)
    /// `TUN_F_TSO6`: TCP segments over IPv6 may be larger than the MTU.
    public static let tso6 = Offloads(rawValue: 0x04)
    /// `TUN_F_TSO_ECN`: such segments may carry ECN bits.
    public static let ecn = Offloads(rawValue: 0x08)
    /// `TUN_F_UFO`: UDP fragmentation; accepted and ignored by kernels since 4.14.
    public static let ufo = Offloads(rawValue: 0x10)
    /// `TUN_F_USO4`: UDP segmentation over IPv4, since 6.2.
    public static let uso4 = Offloads(rawValue: 0x20)
    /// `TUN_F_USO6`: UDP segmentation over IPv6, since 6.2.
    public static let uso6 = Offloads(rawValue: 0x40)

    /// Every offload with its name in the API, in the order of the kernel's bits.
    public static let words: [(word: String, offload: Offloads)] = [
        ("checksum", .checksum), ("tso4", .tso4), ("tso6", .tso6), ("ecn", .ecn), ("ufo", .ufo), ("uso4", .uso4),
        ("uso6", .uso6),
    ]

    /// The most words in a list, repeated ones included.
    public static let wordsMax = 64

    /// The names of the offloads in the set, in the order of the kernel's bits.
    public var names: [String] {
        Self.words.filter { contains($0.offload) }.map(\.word)
    }

    /// - Throws: `ValidationError` if the word is unknown.
    public init(word: String) throws(ValidationError) {
        guard let known = Self.words.first(where: { $0.word == word }) else {
            throw ValidationError(
                "'\(word)' is not an offload; known are \(Self.words.map(\.word).joined(separator: ", "))")
        }
        self = known.offload
    }

    /// The set as ethtool(8) reports it, which shows only whether there is checksumming and any TCP segmentation.
    public var asShown: Offloads {
        var shown = intersection(.checksum)
        if !isDisjoint(with: [.tso4, .tso6, .ecn]) { shown.formUnion([.tso4, .tso6]) }
        return shown
    }

    /// Why the kernel would refuse this combination with EINVAL (`set_offload()` in `drivers/net/tun.c`); `nil` if not.
    public var contradiction: String? {
        if !isEmpty, !contains(.checksum) {
            return "segmentation without 'checksum' is refused by the kernel; add 'checksum'"
        }
        if contains(.ecn), isDisjoint(with: [.tso4, .tso6]) {
            return "'ecn' needs 'tso4' or 'tso6'"
        }
        if contains(.uso4) != contains(.uso6) {
            return "'uso4' and 'uso6' go together; the kernel refuses one without the other"
        }
        return nil
    }
}
