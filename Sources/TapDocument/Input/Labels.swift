internal import TapCore

/// Labels of a device, with the syntax of Kubernetes' labels. Clients select devices by them.
public struct Labels: Hashable, Sendable {
    /// Most labels of a device.
    public static let labelsMax = 64
    static let nameBytesMax = 63
    static let prefixBytesMax = 253

    /// Values by key.
    public let values: [String: String]

    /// No labels.
    public static let none = Labels(unchecked: [:])

    init(unchecked values: [String: String]) {
        self.values = values
    }

    /// The labels of a document, and its mistakes.
    struct Reading {
        let value: Labels
        let issues: [FieldIssue]
    }

    static func reading(_ document: JSONValue?, at pointer: String) -> Reading {
        var reader = ObjectReader(document, at: pointer)
        guard case .object(let members) = document else {
            return Reading(value: .none, issues: reader.issues)
        }
        guard members.count <= labelsMax else {
            let issue = FieldIssue(pointer: pointer, detail: "has \(members.count) labels; \(labelsMax) are allowed")
            return Reading(value: .none, issues: [issue])
        }
        var values: [String: String] = [:]
        for key in members.keys {
            guard isKey(key) else {
                reader.note(key, "is not a label key: an optional DNS prefix and '/', then up to \(nameBytesMax) bytes")
                continue
            }
            values[key] = reader.text(key) { (text) throws(ValidationError) in
                guard text.isEmpty || isName(text) else {
                    throw ValidationError(
                        "is not a label value: up to \(nameBytesMax) letters, digits, '-', '_' and '.', which begins "
                            + "and ends with a letter or a digit")
                }
                return text
            }
        }
        return Reading(value: Labels(unchecked: values), issues: reader.issues)
    }

    static func isKey(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return isName(text)
        case 2: return isName(parts[0], bytesMax: prefixBytesMax) && isName(parts[1])
        default: return false
        }
    }

    static func isName(_ text: some StringProtocol, bytesMax: Int = nameBytesMax) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, let last = text.last?.utf8.last, bytes.count <= bytesMax else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
