internal import Synchronization

/// A complete request.
public struct HTTPRequest: Sendable {
    /// What came before the body, shared by all copies of the request.
    public let head: RequestHead
    public internal(set) var body: [UInt8] = []

    /// A new identifier: it needs to be different, not secret, so it is one random number a process, and a count.
    public static func freshIdentifier() -> String {
        identifierPrefix + String(identifierCount.add(1, ordering: .relaxed).newValue, radix: 16)
    }

    private static let identifierPrefix = String(UInt32.random(in: (1 << 28)...UInt32.max), radix: 16) + "-"
    private static let identifierCount = Atomic<UInt64>(0)
}

/// Why a request never reached its handler.
public enum HTTPRejection: String, CaseIterable, Sendable {
    case bodyTooLarge
    /// The bodies of all requests together are more than is held at a time.
    case tooManyBodies
    case tooManyHeaders
    /// Two ways to tell where the request ends, or two hosts (RFC 9112, section 6.3; RFC 9110, section 7.2).
    case ambiguousRequest
    /// A percent sign without two digits, a NUL, or bytes that are no UTF-8.
    case malformedTarget
    case stopping
}

/// Decodes percent signs (RFC 3986, section 2.1).
///
/// - Returns: Nothing when the text is malformed, holds a control character, or is no UTF-8.
func percentDecoded(_ text: some Collection<UInt8>) -> String? {
    // Nearly every text is plain, and then it is what it is.
    if text.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "%") }) {
        return String(decoding: text, as: UTF8.self)
    }
    var bytes: [UInt8] = []
    var rest = text.makeIterator()
    while let byte = rest.next() {
        var decoded = byte
        if byte == UInt8(ascii: "%") {
            guard let high = rest.next().flatMap(hexadecimal), let low = rest.next().flatMap(hexadecimal) else {
                return nil
            }
            decoded = high << 4 | low
        }
        guard decoded >= 0x20, decoded != 0x7F else { return nil }
        bytes.append(decoded)
    }
    return String(validating: bytes, as: UTF8.self)
}

private func hexadecimal(_ byte: UInt8) -> UInt8? {
    Character(UnicodeScalar(byte)).isASCII ? Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) : nil
}
