import TapCore

@testable import TapKernel

/// One datagram: it has as many messages as fit, of each no more is read than is there, and two ways to read one agree.
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

/// The decoders do not ask which kind of message it is: each may meet each.
private func checkMessage(_ payload: RawSpan) throws(BrokenProperty) {
    let link = try? LinkMessage.decode(payload)
    let index = try? LinkMessage.index(payload)
    let queues = try? LinkMessage.attachedQueues(payload)
    if let link {
        try hold(link.index == index, "two numbers of one interface")
        try hold(link.tun?.attachedQueues == queues, "two numbers of queues")
        // What is no UTF-8 becomes three bytes each.
        let texts = [link.name, link.alias ?? "", link.queueDiscipline, link.kind ?? ""] + link.altNames
        let textBytes = texts.reduce(0) { $0 + $1.utf8.count }
        try hold(textBytes <= payload.byteCount * 3, "\(textBytes) bytes of text in \(payload.byteCount)")
        try hold(texts.allSatisfy { !$0.utf8.contains(0) }, "a NUL in a name")
        try hold(link.altNames.count <= payload.byteCount / 4, "\(link.altNames.count) names")
    }
    if let (owner, address) = try? AddressMessage.decode(payload) {
        try hold(address.address.bytes.count == 4 || address.address.bytes.count == 16, "an address of neither family")
        // Both kinds of message have the interface in the same place.
        try hold(index == nil || owner == index, "two interfaces of one address")
        _ = address.address.description
    }
}
