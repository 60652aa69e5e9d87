/// What reads bytes of others, each with what must hold for all bytes. Besides, nothing may trap, loop, or take long.
///
/// `make fuzz` has libFuzzer look for bytes for which it does not hold; the tests try those of the corpus.
enum FuzzTarget: String, CaseIterable, Sendable {
    case json, device, patch, selector, text, target, fields, netlink, ledger, token, answer

    /// - Throws: `BrokenProperty` when something does not hold.
    func check(_ bytes: [UInt8]) throws(BrokenProperty) {
        switch self {
        case .json: try checkJSON(bytes)
        case .device: try checkDevice(bytes)
        case .patch: try checkPatch(bytes)
        case .selector: try checkSelector(bytes)
        case .text: try checkText(bytes)
        case .target: try checkRequestTarget(bytes)
        case .fields: try checkFields(bytes)
        case .netlink: try checkNetlink(bytes)
        case .ledger: try checkLedger(bytes)
        case .token: try checkToken(bytes)
        case .answer: try checkAnswer(bytes)
        }
    }
}

/// Something that must hold for all bytes, and does not for these.
struct BrokenProperty: Error, CustomStringConvertible {
    let description: String
}

func hold(_ condition: Bool, _ words: @autoclosure () -> String) throws(BrokenProperty) {
    if !condition { throw BrokenProperty(description: words()) }
}

/// The text that bytes are, if they are one.
func text(_ bytes: some Sequence<UInt8>) -> String? {
    String(validating: Array(bytes), as: UTF8.self)
}
