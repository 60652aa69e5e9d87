import TapCore

@testable import TapKernel

/// A datagram has no more messages than fit into it, their decoders do not read beyond their ends, and the two decoders
/// of a link agree.
func checkNetlink(_ bytes: [UInt8]) throws(BrokenProperty) {
    var messages = 0
    var failure: BrokenProperty?
    do throws(MalformedNetlink) {
        try walkMessages(bytes.span.bytes) { (_, payload) throws(MalformedNetlink) in
            messages += 1
            guard failure == nil else { return }
            do throws(BrokenProperty) { try checkMessage(payload) } catch { failure = error }
        }
    } catch {
        try hold(!error.reason.isEmpty && error.reason.utf8.count <= 128, "the error is long: \(error.reason)")
    }
    if let failure { throw failure }
    try hold(messages <= bytes.count / NetlinkHeader.bytes, "\(messages) messages in \(bytes.count) bytes")
}

/// The decoders do not check the type of a message, so each must cope with all types.
private func checkMessage(_ payload: RawSpan) throws(BrokenProperty) {
    let link = try? LinkMessage.decode(payload)
    let index = try? LinkMessage.index(payload)
    let queues = try? LinkMessage.attachedQueues(payload)
    if let link {
        try hold(link.index == index, "the two decoders read different indexes")
        try hold(link.tun?.attachedQueues == queues, "the two decoders read different numbers of queues")
        // Each invalid byte is replaced by the three bytes of U+FFFD.
        let texts = [link.name, link.alias ?? "", link.queueDiscipline, link.kind ?? ""] + link.altNames
        let textBytes = texts.reduce(0) { $0 + $1.utf8.count }
        try hold(textBytes <= payload.byteCount * 3, "\(textBytes) bytes of text in \(payload.byteCount)")
        try hold(texts.allSatisfy { !$0.utf8.contains(0) }, "a NUL in a name")
        try hold(link.altNames.count <= payload.byteCount / 4, "\(link.altNames.count) names")
    }
    if let (owner, address) = try? AddressMessage.decode(payload) {
        try hold(address.address.bytes.count == 4 || address.address.bytes.count == 16, "an address of neither family")
        // Messages of links and of addresses have the interface's index at the same offset.
        try hold(index == nil || owner == index, "two interfaces for one address")
        _ = address.address.description
    }
}
