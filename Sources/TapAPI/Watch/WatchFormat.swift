internal import TapHTTP
internal import TapEngine
internal import TapSystem

/// How events go over the wire. What is long in them, the device's document, is the same memory for all.
enum WatchFormat: String, Sendable, CaseIterable {
    /// A JSON text a line.
    case lines = "application/x-ndjson"
    /// Server-sent events (WHATWG HTML, section 9.2).
    case eventStream = "text/event-stream"

    enum Kind: String, CaseIterable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
        case error = "ERROR"

        fileprivate var beginning: String { #"{"type":"\#(rawValue)","object":"# }
    }

    private static let beginnings = Dictionary(
        uniqueKeysWithValues: Kind.allCases.map { ($0, HTTPBody($0.beginning)) })
    private static let lineEnd = HTTPBody("}\n")
    private static let eventEnd = HTTPBody("}\n\n")

    /// - Parameters:
    ///   - kind: What happened.
    ///   - object: A JSON text without line feeds.
    ///   - resume: From which revision a client that has seen the event may go on.
    /// - Returns: The event's bytes, in parts.
    func frame(_ kind: Kind, _ object: HTTPBody, resume: Int?) -> [HTTPBody] {
        switch self {
        case .lines: return [Self.beginnings[kind] ?? .empty, object, Self.lineEnd]
        case .eventStream:
            let identifier = resume.map { "id: \($0)\n" } ?? ""
            return [HTTPBody("event: \(kind.rawValue)\n\(identifier)data: \(kind.beginning)"), object, Self.eventEnd]
        }
    }

    /// All is told up to a revision.
    func bookmark(_ revision: Int) -> [HTTPBody] {
        frame(.bookmark, HTTPBody(#"{"metadata":{"resourceVersion":"\#(revision)"}}"#), resume: revision)
    }
}
