import TapCore

@testable import TapDocument

/// The labels of devices that selectors can distinguish.
private let samples: [Labels] = [
    [:], ["vm": "web"], ["vm": "db", "tier": "test"], ["vm": "", "example.com/rack": "a"], ["zone": "a", "vm": "x"],
].compactMap { try? Labels(stored: .object($0)) }

/// A parsed selector is printed so that it parses to an equal selector, and matches what all of its requirements match.
func checkSelector(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let text = text(bytes) else { return }
    let selector: LabelSelector
    do {
        selector = try LabelSelector(text)
    } catch {
        return try hold(error.detail.utf8.count <= 1_024, "the error is long: \(error.detail)")
    }
    let printed = selector.requirements.map(\.text).joined(separator: ",")
    let again = try? LabelSelector(printed)
    // Printed with canonical spaces, a selector may exceed the length limit.
    try hold(
        again == selector || printed.utf8.count > LabelSelector.bytesMax, "'\(printed)' parses to another selector")
    for labels in samples {
        let isMatched = selector.requirements.allSatisfy { (try? LabelSelector($0.text))?.matches(labels) == true }
        try hold(selector.matches(labels) == isMatched, "its requirements, one by one, disagree about \(labels.values)")
        for requirement in selector.requirements {
            let (one, other) = (try? LabelSelector(requirement.text), try? LabelSelector(requirement.negated.text))
            try hold(
                one?.matches(labels) != other?.matches(labels), "'\(requirement.text)' and its opposite agree")
        }
    }
}

extension LabelSelector.Requirement {
    fileprivate var text: String {
        switch self {
        case .isOneOf(let key, let values): "\(key) in (\(values.sorted().joined(separator: ",")))"
        case .isNoneOf(let key, let values): "\(key) notin (\(values.sorted().joined(separator: ",")))"
        case .exists(let key): key
        case .isAbsent(let key): "!\(key)"
        }
    }

    fileprivate var negated: Self {
        switch self {
        case .isOneOf(let key, let values): .isNoneOf(key, values)
        case .isNoneOf(let key, let values): .isOneOf(key, values)
        case .exists(let key): .isAbsent(key)
        case .isAbsent(let key): .exists(key)
        }
    }
}
