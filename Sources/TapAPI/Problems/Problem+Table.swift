internal import TapDocument
internal import TapHTTP
internal import TapEngine

extension Problem {
    /// Status, code, title, detail and header fields.
    var words: Words { Words(row, detail: detail, errors: errors, headers: headers) }

    /// The fields or parts of the document that the problem concerns.
    private var errors: [FieldIssue] {
        if case .refused(let refusal) = self { refusal.errors } else { [] }
    }

    var row: Row {
        switch self {
        case .denied(let refusal): refusal.row
        case .bodyTooLarge: Row(413, "BODY_TOO_LARGE", "The body is too large")
        case .notJSON: Row(400, "INVALID_JSON", "The body is not JSON")
        case .invalidParameter: Row(400, "INVALID_PARAMETER", "A query parameter is invalid")
        case .invalidHeader: Row(400, "INVALID_HEADER", "A header field is invalid")
        case .routeNotFound: Row(404, "ROUTE_NOT_FOUND", "No such resource")
        case .methodNotAllowed: Row(405, "METHOD_NOT_ALLOWED", "The method is not allowed here")
        case .unsupportedMediaType: Row(415, "UNSUPPORTED_MEDIA_TYPE", "The body's media type is not supported")
        case .unsupportedEncoding: Row(415, "UNSUPPORTED_MEDIA_TYPE", "The body's media type is not supported")
        case .invalidName: Row(404, "DEVICE_NOT_FOUND", "No such device")
        case .unixSocketRequired: Row(400, "UNIX_SOCKET_REQUIRED", "Leases need the Unix socket")
        case .upgradeRequired: Row(426, "UPGRADE_REQUIRED", "Protocol upgrade required")
        case .notAcceptable: Row(406, "NOT_ACCEPTABLE", "Not acceptable")
        case .tooManyWatchers: Row(503, "TOO_MANY_WATCHERS", "Too many watch streams are open", retryAfter: 1)
        case .rejected(let rejection, _): rejection.row
        case .refused(let refusal): refusal.row
        }
    }

    var detail: String {
        switch self {
        case .denied(let refusal): refusal.detail
        case .bodyTooLarge(let max): ProblemDetails.bodyTooLarge(max)
        case .notJSON(let detail): detail
        case .invalidParameter(let name, let detail): "'\(name)' \(detail)"
        case .invalidHeader(let name, let detail): "'\(name)' \(detail)"
        case .routeNotFound(let path, let known): ProblemDetails.routeNotFound(path, known)
        case .methodNotAllowed(let method, let allowed): ProblemDetails.methodNotAllowed(method, allowed)
        case .unsupportedMediaType(let found, let wanted): ProblemDetails.unsupportedMediaType(found, wanted)
        case .unsupportedEncoding(let coding): ProblemDetails.unsupportedEncoding(coding)
        case .invalidName(let detail): detail
        case .unixSocketRequired: ProblemDetails.unixSocketRequired
        case .upgradeRequired: ProblemDetails.upgradeRequired
        case .notAcceptable(let found, let offered): ProblemDetails.notAcceptable(found, offered)
        case .tooManyWatchers(let owner, let max): ProblemDetails.tooManyWatchers(owner, max)
        case .rejected(let rejection, let limits): rejection.detail(limits)
        case .refused(let refusal): refusal.detail
        }
    }

    private var headers: HTTPHeaders {
        switch self {
        case .denied(let refusal): refusal.headers
        case .methodNotAllowed(_, let allowed): ["Allow": allowed.joined(separator: ", ")]
        case .unsupportedEncoding: ["Accept-Encoding": "identity"]
        case .upgradeRequired: ["Upgrade": LeaseMessage.protocolName]
        case .rejected, .refused, .bodyTooLarge, .notJSON, .invalidParameter, .invalidHeader, .routeNotFound,
            .unsupportedMediaType, .invalidName, .unixSocketRequired, .notAcceptable, .tooManyWatchers:
            [:]
        }
    }
}

/// Details that need more than a line.
private enum ProblemDetails {
    static func bodyTooLarge(_ max: Int) -> String {
        max == 0
            ? "a body is not allowed here; send the request without it" : "at most \(max) bytes are allowed"
    }

    static func routeNotFound(_ path: String, _ known: [String]) -> String {
        "nothing is served at \(path); "
            + (known.isEmpty
                ? "GET /openapi.yaml lists all paths" : "the paths are \(known.joined(separator: ", "))")
    }

    static func methodNotAllowed(_ method: String, _ allowed: [String]) -> String {
        "\(method) is not allowed here; use \(allowed.joined(separator: ", "))"
    }

    static func unsupportedMediaType(_ found: String?, _ wanted: [String]) -> String {
        "Content-Type is \(found.map { "'\($0)'" } ?? "missing"); send "
            + wanted.joined(separator: " or ")
    }

    static func unsupportedEncoding(_ coding: String) -> String {
        "Content-Encoding is '\(coding)'; send the body without content encoding"
    }

    static let unixSocketRequired =
        "descriptors cannot be passed over TCP; connect to the API's Unix socket on the server's host"

    static let upgradeRequired =
        "send 'Connection: Upgrade' and 'Upgrade: \(LeaseMessage.protocolName)', and receive the queues "
        + "with recvmsg(2) after the response 101; 'tapster exec' does this for a command"

    static func notAcceptable(_ found: String, _ offered: [String]) -> String {
        "Accept is '\(found)'; the available types are \(offered.joined(separator: " and "))"
    }

    static func tooManyWatchers(_ owner: String?, _ max: Int) -> String {
        owner.map { "\($0) has \(max) watches, the most that one user or token may have; close one" }
            ?? "at most \(max) watch streams may be open; close one, or try again in a second"
    }
}
