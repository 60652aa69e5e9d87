/// Media types that a client takes (`Accept`, RFC 9110, section 12.5.1).
struct AcceptedTypes: Sendable {
    private struct Range {
        let type: String
        /// From 0, not at all, to 1.
        let quality: Double

        /// How exactly it means a type; nothing when it does not.
        func precision(for type: String) -> Int? {
            if self.type == type { return 2 }
            if self.type == "*/*" { return 0 }
            return self.type.hasSuffix("/*") && type.hasPrefix(self.type.dropLast()) ? 1 : nil
        }
    }

    private static let rangesMax = 64

    /// Nothing said means that everything is taken.
    private let ranges: [Range]?

    init(_ header: String?) {
        ranges = header.map { header in
            header.lowercased().split(separator: ",").prefix(Self.rangesMax).map { range in
                let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
                let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 }
                return Range(type: parts.first ?? "", quality: quality ?? 1)
            }
        }
    }

    /// What the client likes best; of two that it likes equally, what it names more exactly, or else the first.
    ///
    /// - Parameter offers: Each with the types under which it may be asked for.
    /// - Returns: One of them, or nothing when none is taken.
    func best<Offer>(of offers: [(offer: Offer, types: [String])]) -> Offer? {
        guard let ranges else { return offers.first?.offer }
        var best: (offer: Offer, rank: (quality: Double, precision: Int))?
        for (offer, types) in offers {
            for type in types {
                let matching = ranges.compactMap { range in
                    range.precision(for: type).map { (quality: range.quality, precision: $0) }
                }
                // The most exact range of a type decides on it.
                guard let rank = matching.max(by: { $0.precision < $1.precision }), rank.quality > 0 else { continue }
                if best.map({ $0.rank < rank }) ?? true { best = (offer, rank) }
            }
        }
        return best?.offer
    }
}
