internal import TapDocument
internal import TapHTTP
internal import TapEngine
internal import TapSystem

/// How events go over the wire. What is long in them, the device's document, is the same memory for all.
enum WatchFormat: String, Sendable, CaseIterable {
    /// A JSON text a line.
    case lines = "application/x-ndjson"
    /// Server-sent events (WHATWG HTML, section 9.2).
    case eventStream = "text/event-stream"

    private static let openings = Dictionary(
        uniqueKeysWithValues: WatchEvent.Kind.allCases.map { ($0, HTTPBody(WatchEvent.opening($0))) })
    private static let lineEnd = HTTPBody(WatchEvent.closing + "\n")
    private static let eventEnd = HTTPBody(WatchEvent.closing + "\n\n")

    /// - Parameters:
    ///   - kind: What happened.
    ///   - object: A JSON text without line feeds.
    ///   - resume: From which revision a client that has seen the event may go on.
    /// - Returns: The event's bytes, in parts.
    func frame(_ kind: WatchEvent.Kind, _ object: HTTPBody, resume: Int?) -> [HTTPBody] {
        switch self {
        case .lines: return [Self.openings[kind] ?? .empty, object, Self.lineEnd]
        case .eventStream:
            let identifier = resume.map { "id: \($0)\n" } ?? ""
            return [
                HTTPBody("event: \(kind.rawValue)\n\(identifier)data: \(WatchEvent.opening(kind))"), object,
                Self.eventEnd,
            ]
        }
    }

    /// All is told up to a revision.
    func bookmark(_ revision: Int) -> [HTTPBody] {
        frame(.bookmark, HTTPBody(WatchEvent.bookmark(revision)), resume: revision)
    }
}
