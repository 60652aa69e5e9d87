import TapDocument

@testable import TapCore

/// For each type parsed from text: its text parses to an equal value, and is safe for the kernel, a path and a shell.
func checkText(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let text = text(bytes) else { return }
    if let name = try? DeviceName(text) {
        try hold(name.description.utf8.elementsEqual(text.utf8), "a name is changed")
        try hold(text.utf8.count <= 15 && text.utf8.allSatisfy(isPlain), "not a device name")
        // A device's name is also a valid interface name and a valid alternative name.
        try hold(
            (try? InterfaceName(text)) != nil && (try? AlternativeName(text)) != nil,
            "not both an interface and an alternative name")
    }
    if (try? AlternativeName(text)) != nil {
        try hold(text.utf8.count <= 127 && text.utf8.allSatisfy(isPlain), "not an alternative name")
    }
    if (try? InterfaceName(text)) != nil {
        try hold(text.utf8.count <= 15 && !text.utf8.contains(0), "not an interface name")
    }
    if (try? LinkAlias(text)) != nil {
        try hold(text.utf8.count <= 255 && !text.utf8.contains(0), "not an alias")
    }
    if let consumer = try? ConsumerName(text) {
        try hold(consumer.text.utf8.count <= 63 && text.utf8.allSatisfy(isPlain), "not a consumer name")
    }
    if let lease = LeaseIdentifier(text) {
        try hold(UInt64(text, radix: 16) != nil && lease.text.utf8.count == 16, "not a lease identifier")
    }
    if let principal = try? Principal(text) {
        try hold(principal.description.utf8.elementsEqual(text.utf8), "an account is changed")
    }
    try checkAddresses(text)
    try checkTimes(text, bytes)
}

private func checkAddresses(_ text: String) throws(BrokenProperty) {
    if let address = try? MACAddress(text) {
        try hold(address.description == text.lowercased(), "it is printed as \(address)")
        try hold(MACAddress(bytes: address.bytes) == address, "its bytes form another address")
        try hold(address.bytes[0] & 1 == 0 && address.rawValue >> 48 == 0, "not the address of a single interface")
    }
    if let address = try? InterfaceAddress(text) {
        try hold((try? InterfaceAddress(address.description)) == address, "\(address) parses to another address")
        try hold(
            InterfaceAddress(bytes: address.bytes, prefixLength: address.prefixLength) == address,
            "its bytes form another address")
        try hold((1...address.bytes.count * 8).contains(address.prefixLength), "a prefix longer than the address")
    }
    if let namespace = try? NetworkNamespace(text) {
        try hold(namespace.text.utf8.elementsEqual(text.utf8), "a namespace is changed")
        try hold(namespace.path.utf8.first == UInt8(ascii: "/") && !text.utf8.contains(0), "an invalid path")
        let isName = !text.utf8.contains(UInt8(ascii: "/"))
        try hold(isName || text.utf8.first == UInt8(ascii: "/"), "a relative path")
    }
}

private func checkTimes(_ text: String, _ bytes: [UInt8]) throws(BrokenProperty) {
    if let duration = try? Duration(text: text) {
        try hold(duration >= .zero, "a negative duration")
        let milliseconds = duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
        try hold((try? Duration(text: "\(milliseconds)ms")) == duration, "\(milliseconds) ms parse to another duration")
    }
    if let moment = try? Timestamp(text: text) {
        let written = moment.text
        try hold((try? Timestamp(text: written))?.text == written, "\(written) parses to another time")
    }
    // A time in the years 0 to 9999, which RFC 3339 can represent.
    guard bytes.count == 8 else { return }
    let number = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) }
    let moment = Timestamp(microseconds: number % 253_402_300_800_000_000)
    guard moment.microseconds >= 0 else { return }
    let shape = moment.text.utf8.map { (0x30...0x39).contains($0) ? UInt8(ascii: "0") : $0 }
    try hold(shape.elementsEqual("0000-00-00T00:00:00.000Z".utf8), "\(moment.text) is not a time of RFC 3339")
    let milliseconds = moment.microseconds / 1_000
    try hold(
        (try? Timestamp(text: moment.text))?.microseconds == milliseconds * 1_000,
        "\(moment.text) parses to another time")
}

/// Whether a byte needs no quoting in a shell, a path or a URL.
private func isPlain(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
}
