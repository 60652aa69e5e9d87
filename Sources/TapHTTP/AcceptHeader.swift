/// The media types that a client accepts (`Accept`, RFC 9110, section 12.5.1).
package struct AcceptHeader: Sendable {
    private struct Range {
        let type: Substring
        let subtype: Substring
        let parameters: [(name: String, value: String)]
        let quality: Double

        /// `nil` if the text is not a media range; such a range is ignored.
        init?(_ text: Substring) {
            let parts = text.split(separator: ";").map { trimmed($0) }
            let names = (parts.first ?? "").split(separator: "/", omittingEmptySubsequences: false)
            guard names.count == 2, !names[0].isEmpty, !names[1].isEmpty else { return nil }
            (type, subtype) = (names[0], names[1])
            var parameters: [(String, String)] = []
            var quality = 1.0
            for part in parts.dropFirst() {
                let words = part.split(separator: "=", maxSplits: 1).map { trimmed($0) }
                guard words.count == 2 else { continue }
                if words[0] == "q" {
                    guard let value = Double(String(words[1])), (0...1).contains(value) else { return nil }
                    quality = value
                } else {
                    parameters.append((String(words[0]), words[1].filter { $0 != "\"" }))
                }
            }
            self.parameters = parameters
            self.quality = quality
        }

        /// How specifically the range matches the type (RFC 9110, section 12.5.1); `nil` if it does not match.
        func closeness(to type: Substring, _ subtype: Substring, _ parameters: [String: String]) -> Int? {
            if self.type == "*", self.subtype == "*" { return 0 }
            guard self.type == type else { return nil }
            if self.subtype == "*" { return 1 }
            guard self.subtype == subtype else { return nil }
            var closeness = 2
            for (name, value) in self.parameters {
                // Parameters that the offer does not have are ignored.
                guard let ours = parameters[name] else { continue }
                guard ours == value else { return nil }
                closeness += 1
            }
            return closeness
        }
    }

    private static let rangesMax = 64
    private let ranges: [Range]

    /// Accepts any type if the field is missing or has no valid media range.
    package init(_ header: String?) {
        let understood = Self.ranges(header ?? "")
        ranges = understood.isEmpty ? Self.ranges("*/*") : understood
    }

    private static func ranges(_ text: String) -> [Range] {
        text.lowercased().split(separator: ",").prefix(rangesMax).compactMap(Range.init)
    }

    /// The client's preference for a type; of several ranges that match, the most specific counts.
    ///
    /// - Parameters:
    ///   - type: Such as `text/plain`.
    ///   - parameters: Its parameters; a range that gives one of them another value does not match.
    /// - Returns: From 0 (not accepted) to 1.
    package func quality(of type: String, _ parameters: [String: String] = [:]) -> Double {
        closest(to: type, parameters)?.quality ?? 0
    }

    /// The offer with the highest quality; among equals the one matched most specifically, then the first.
    ///
    /// - Parameter offers: Each with the types that select it.
    /// - Returns: One of the offers, or `nil` if the client accepts none.
    package func best<Offer>(of offers: [(offer: Offer, types: [String])]) -> Offer? {
        var best: (offer: Offer, rank: (quality: Double, closeness: Int))?
        for (offer, types) in offers {
            for type in types {
                guard let rank = closest(to: type, [:]), rank.quality > 0 else { continue }
                if best.map({ $0.rank < rank }) ?? true { best = (offer, rank) }
            }
        }
        return best?.offer
    }

    private func closest(to type: String, _ parameters: [String: String]) -> (quality: Double, closeness: Int)? {
        let names = type.split(separator: "/")
        guard names.count == 2 else { return nil }
        return ranges.compactMap { range in
            range.closeness(to: names[0], names[1], parameters).map { (range.quality, $0) }
        }.max { $0.1 < $1.1 }
    }
}

/// Without the blanks around it.
private func trimmed(_ text: Substring) -> Substring {
    var text = text.drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
}
