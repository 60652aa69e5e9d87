internal import TapDocument
internal import TapHTTP
internal import TapEngine
internal import TapSystem

/// Encodes events. All watchers share the memory of the device documents.
enum WatchFormat: String, Sendable, CaseIterable {
    /// One JSON text in each line.
    case lines = "application/x-ndjson"
    /// Server-sent events (WHATWG HTML, section 9.2).
    case eventStream = "text/event-stream"

    private static let openings = Dictionary(
        uniqueKeysWithValues: WatchEvent.Kind.allCases.map { ($0, HTTPBody(WatchEvent.opening($0))) })
    private static let lineEnd = HTTPBody(WatchEvent.closing + "\n")
    private static let eventEnd = HTTPBody(WatchEvent.closing + "\n\n")

    /// - Parameters:
    ///   - kind: The kind of event.
    ///   - object: A JSON text without line feeds.
    ///   - resume: The revision from which a client may resume after this event; `nil` if it cannot.
    /// - Returns: The bytes of the event, in parts.
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

    /// The event that all changes up to a revision were sent.
    func bookmark(_ revision: Int) -> [HTTPBody] {
        frame(.bookmark, HTTPBody(WatchEvent.bookmark(revision)), resume: revision)
    }
}
