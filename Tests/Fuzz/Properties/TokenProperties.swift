import TapCore

@testable import TapDocument
@testable import TapAPI
@testable import TapHTTP

/// The tokens, keys, host names and media types of clients: a parsed value is printed unchanged, within its limits.
func checkToken(_ bytes: [UInt8]) throws(BrokenProperty) {
    guard let text = text(bytes) else { return }
    if let token = try? ContinueToken(text) {
        try hold(token.text.utf8.elementsEqual(text.utf8), "a continue token is changed")
        try hold(token.revision >= 0, "a negative revision")
    }
    if let key = try? IdempotencyKey(text) {
        try hold(key.text.utf8.elementsEqual(text.utf8) && (1...255).contains(text.utf8.count), "a key is changed")
    }
    if let name = try? TokenName(text) {
        try hold(name.text.utf8.elementsEqual(text.utf8) && (1...63).contains(text.utf8.count), "a name is changed")
    }
    if let digest = TokenDigest(hexadecimal: text) {
        try hold(digest.hexadecimal == text.lowercased() && text.utf8.count == 64, "a digest is changed")
    }
    if let host = HostName(authority: text) {
        try hold((try? HostName(host.description)) == host, "\(host) parses to another host")
        try hold(host.description.utf8.count <= 253, "a host name that is too long")
    }
    try checkAccept(text)
}

private func checkAccept(_ text: String) throws(BrokenProperty) {
    let accept = AcceptHeader(text)
    let offers = [("lines", ["application/x-ndjson", "application/json"]), ("stream", ["text/event-stream"])]
    for type in offers.flatMap(\.1) {
        try hold((0...1).contains(accept.quality(of: type)), "a quality out of range")
    }
    let best = accept.best(of: offers)
    let isWanted = offers.contains { offer in offer.1.contains { accept.quality(of: $0) > 0 } }
    try hold((best != nil) == isWanted, "the best offer and the qualities disagree")
}
