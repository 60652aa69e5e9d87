import Foundation

@testable import TapDocument

/// What is read and printed is read again as the same, printed is short for what it says, keeps its limits, and is read
/// alike by Foundation, which reads more than JSON, but all of it.
func checkJSON(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let value = try parsed(bytes) else { return }
    let printed = value.bytes
    try hold(value.depth <= JSONValue.depthMax, "is \(value.depth) levels deep")
    // A control character in an escape of two characters is printed in one of six, and a double has 24 at most.
    try hold(printed.count <= bytes.count * 24, "printed, \(bytes.count) bytes become \(printed.count)")
    guard let again = try? JSONValue(parsing: printed) else {
        throw BrokenProperty(description: "what was printed cannot be read: \(value.text)")
    }
    try hold(again == value, "printed and read, it is another value: \(again.text)")
    try hold(again.bytes == printed, "printed again, it is another text: \(again.text)")
    let theirs: Any
    do {
        theirs = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
    } catch {
        throw BrokenProperty(description: "Foundation refuses it: \(error)")
    }
    try hold(value.isRead(alsoAs: theirs), "Foundation reads \(theirs) instead of \(value.text)")
}

/// The value, if it is JSON; and else that the error is short and says where.
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
        // Foundation tells those with an exponent or a fraction as doubles.
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

/// Foundation reads whole numbers that 64 bits cannot hold by way of a decimal, which makes not always the nearest
/// double.
private func isNear(_ one: Double, _ other: Double) -> Bool {
    abs(one - other) <= abs(other) * 1e-12
}
