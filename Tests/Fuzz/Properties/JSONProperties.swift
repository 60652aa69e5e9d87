import Foundation

@testable import TapDocument

/// A parsed value is printed so that it parses to an equal value, within limits of depth and length, and Foundation,
/// which accepts all of JSON and more, parses the input to the same value.
func checkJSON(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let value = try parsed(bytes) else { return }
    let printed = value.bytes
    try hold(value.depth <= JSONValue.depthMax, "is \(value.depth) levels deep")
    // A control character's escape may grow from two to six characters, and a double has at most 24.
    try hold(printed.count <= bytes.count * 24, "\(bytes.count) bytes are printed as \(printed.count)")
    guard let again = try? JSONValue(parsing: printed) else {
        throw BrokenProperty(description: "the printed value cannot be parsed: \(value.text)")
    }
    try hold(again == value, "the printed value parses to another one: \(again.text)")
    try hold(again.bytes == printed, "printed again, the text differs: \(again.text)")
    let theirs: Any
    do {
        theirs = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
    } catch {
        throw BrokenProperty(description: "Foundation refuses it: \(error)")
    }
    try hold(value.isRead(alsoAs: theirs), "Foundation parses \(theirs) instead of \(value.text)")
}

/// The value; `nil` if the bytes are not JSON, after checking that the error's text is short.
func parsed(_ bytes: [UInt8]) throws(BrokenProperty) -> JSONValue? {
    do throws(JSONSyntaxError) {
        return try JSONValue(parsing: bytes)
    } catch {
        try hold(!error.detail.isEmpty && error.detail.utf8.count <= 512, "the error is long: \(error.detail)")
        return nil
    }
}

extension JSONValue {
    fileprivate var depth: Int {
        switch self {
        case .array(let elements): 1 + (elements.map(\.depth).max() ?? 0)
        case .object(let members): 1 + (members.values.map(\.depth).max() ?? 0)
        default: 0
        }
    }

    fileprivate func isRead(alsoAs other: Any) -> Bool {
        switch self {
        case .null: return other is NSNull
        case .bool(let value): return other as? Bool == value
        // Foundation parses integers written with an exponent or a fraction as doubles.
        case .integer(let value):
            guard let number = other as? NSNumber else { return false }
            return number.int64Value == Int64(value) || isNear(number.doubleValue, Double(value))
        case .number(let value): return (other as? NSNumber).map { isNear($0.doubleValue, value) } ?? false
        case .string(let value): return (other as? String).map { Array($0.utf8) == Array(value.utf8) } ?? false
        case .array(let values):
            guard let others = other as? [Any], others.count == values.count else { return false }
            return zip(values, others).allSatisfy { $0.isRead(alsoAs: $1) }
        case .object(let members):
            guard let others = other as? [String: Any], others.count == members.count else { return false }
            return members.allSatisfy { key, value in others[key].map { value.isRead(alsoAs: $0) } ?? false }
        }
    }
}

/// Foundation parses whole numbers beyond 64 bits as decimals first, and so does not always find the nearest double.
private func isNear(_ one: Double, _ other: Double) -> Bool {
    abs(one - other) <= abs(other) * 1e-12
}
