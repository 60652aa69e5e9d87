internal import TapHTTP

/// What may be asked for, and who answers it.
struct Route: Sendable {
    let method: String
    /// A path whose segments in braces match anything but nothing; also a metric's label.
    let pattern: String
    /// What it asks of whoever calls it.
    let permission: Permission
    /// Query parameters that are understood; others are refused, since ignoring one may do the wrong thing.
    let parameters: Set<String>
    /// A longer body is refused, since to parse it would hold up others: 128 KiB are more than a device can need, whose
    /// longest labels take 25.
    let bodyBytesMax: Int
    /// What it answers with, as far as it is for the router to look at what the client takes.
    let answers: Answers
    let handler: @Sendable (Call) throws(Problem) -> Void

    enum Answers {
        case json
        /// Nothing, or what is sent whatever the client says, as metrics and documents; or the route chooses by itself.
        case other
    }

    /// Each write may be asked to wait, also where there is nothing to wait for: a client need not know which.
    static let wait = "wait"

    private let segments: [String]
    /// Where the path has what a name in braces stands for.
    let places: [PathParameter: Int]

    init(
        _ method: String, _ pattern: String, _ permission: Permission, parameters: Set<String> = [],
        bodyBytesMax: Int = 128 << 10, answers: Answers = .json,
        handler: @escaping @Sendable (Call) throws(Problem) -> Void
    ) {
        self.method = method
        self.pattern = pattern
        self.permission = permission
        self.parameters = method == "GET" ? parameters : parameters.union([Self.wait])
        self.bodyBytesMax = bodyBytesMax
        self.answers = answers
        self.handler = handler
        segments = pattern.split(separator: "/").map { String($0) }
        places = Dictionary(
            segments.enumerated().compactMap { place, segment in PathParameter(segment: segment).map { ($0, place) } },
            uniquingKeysWith: { first, _ in first })
    }

    func matches(_ path: [String]) -> Bool {
        path.count == segments.count
            && zip(path, segments).allSatisfy { $1.utf8.first == UInt8(ascii: "{") ? !$0.isEmpty : $0 == $1 }
    }
}

/// What a pattern may have in braces.
enum PathParameter: String, CaseIterable, Sendable {
    case name
    case index
    case id
    case revision

    fileprivate init?(segment: String) {
        guard segment.utf8.first == UInt8(ascii: "{"), segment.utf8.last == UInt8(ascii: "}") else { return nil }
        self.init(rawValue: String(segment.dropFirst().dropLast()))
    }
}
