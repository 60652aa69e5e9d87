internal import TapHTTP

/// A method and path of the API, with its handler. A class, since each request refers to one: a copy of a structure
/// would count references to each of its parts, which all threads share.
final class Route: Sendable {
    let method: String
    /// A path whose segments in braces match any non-empty segment; also the label `route` of metrics.
    let pattern: String
    /// The permission that it requires of its caller.
    let permission: Permission
    /// Accepted query parameters. Others are rejected, since ignoring one may have the wrong effect.
    let parameters: Set<String>
    /// Longer bodies are rejected, since parsing them would delay other requests. The default of 128 KiB is more than a
    /// device can need: its longest labels take 25 KiB.
    let bodyBytesMax: Int
    /// Whether the `Accept` field is checked before the handler is called.
    let answers: Answers
    let handler: @Sendable (Call) throws(Problem) -> Void

    enum Answers: Sendable {
        /// `Accept` must allow `application/json`.
        case json
        /// `Accept` is not checked: there is no content or only one type, or the handler negotiates the type.
        case other
    }

    /// Query parameter that all writes accept, even those that never wait, so that clients need not distinguish them.
    static let wait = "wait"

    /// Counts its responses.
    let responses: ResponseCounter
    private let segments: [String]
    /// Index of the path segment of each parameter.
    private let places: [(parameter: PathParameter, index: Int)]

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
        places = segments.enumerated().compactMap { index, segment in
            PathParameter(segment: segment).map { ($0, index) }
        }
        responses = ResponseCounter(route: pattern)
    }

    /// The index of the path segment of a parameter; `nil` if the pattern does not have it.
    func place(of parameter: PathParameter) -> Int? { places.first { $0.parameter == parameter }?.index }

    func matches(_ path: [String]) -> Bool {
        path.count == segments.count
            && zip(path, segments).allSatisfy { $1.utf8.first == UInt8(ascii: "{") ? !$0.isEmpty : $0 == $1 }
    }
}

/// A parameter of a path pattern, in braces.
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
