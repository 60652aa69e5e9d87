/// The parsers of untrusted bytes, each with properties that hold for all inputs. No input may cause a trap, an endless
/// loop, or a long run.
///
/// `make fuzz` searches for inputs that break a property, with libFuzzer; the tests check the inputs of the corpus.
enum FuzzTarget: String, CaseIterable, Sendable {
    case json, device, patch, selector, text, target, fields, netlink, ledger, token, answer

    /// - Throws: `BrokenProperty` if a property does not hold.
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

/// A property that does not hold for the input.
struct BrokenProperty: Error, CustomStringConvertible {
    let description: String
}

func hold(_ condition: Bool, _ words: @autoclosure () -> String) throws(BrokenProperty) {
    if !condition { throw BrokenProperty(description: words()) }
}

/// The text of the bytes; `nil` if they are not UTF-8.
func text(_ bytes: some Sequence<UInt8>) -> String? {
    String(validating: Array(bytes), as: UTF8.self)
}
