internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapEngine

/// Why a request fails: a violation of HTTP, an access rule, or a refusal of the engine.
enum Problem: Error, Sendable {
    case denied(AccessRefusal)
    /// Rejected by `TapHTTP` before routing.
    case rejected(HTTPRejection, limits: HTTPLimits)
    case bodyTooLarge(bytesMax: Int)
    case notJSON(String)
    case invalidParameter(name: String, detail: String)
    case invalidHeader(name: String, detail: String)
    /// `known` lists the paths that exist; empty if there are many.
    case routeNotFound(path: String, known: [String])
    case methodNotAllowed(method: String, allowed: [String])
    case unsupportedMediaType(found: String?, wanted: [String])
    case unsupportedEncoding(String)
    case invalidName(String)
    case unixSocketRequired
    case upgradeRequired
    case notAcceptable(found: String, offered: [String])
    /// The limit of one owner; `owner` is `nil` if the limit for all owners is reached.
    case tooManyWatchers(owner: String?, max: Int)
    case refused(Refusal)
}

/// Runs a call to the engine; a `Refusal` becomes a `Problem`.
func refusing<Value>(_ body: () throws(Refusal) -> Value) throws(Problem) -> Value {
    do throws(Refusal) { return try body() } catch { throw .refused(error) }
}

/// Runs an access check; an `AccessRefusal` becomes a `Problem`.
func allowing<Value>(_ body: () throws(AccessRefusal) -> Value) throws(Problem) -> Value {
    do throws(AccessRefusal) { return try body() } catch { throw .denied(error) }
}

extension Problem {
    /// The label `reason` of `tapster_http_rejected_total`; `nil` if the problem is not counted there.
    var rejection: String? {
        switch self {
        case .denied(let refusal): refusal.rejection
        case .bodyTooLarge: HTTPRejection.bodyTooLarge.rawValue
        default: nil
        }
    }
}

extension Problem {
    /// The content of a problem document (RFC 9457), and header fields of its response.
    struct Words {
        let status: Int
        let code: String
        let title: String
        let detail: String
        var errors: [FieldIssue] = []
        var headers: HTTPHeaders = [:]
    }

    /// A row of the tables: the parts that are equal for each request with this problem.
    struct Row {
        let status: Int
        let code: String
        let title: String
        /// Seconds (`Retry-After`, RFC 9110, section 10.2.3).
        let retryAfter: Int?

        init(_ status: Int, _ code: String, _ title: String, retryAfter: Int? = nil) {
            self.status = status
            self.code = code
            self.title = title
            self.retryAfter = retryAfter
        }
    }
}

extension Problem.Words {
    init(
        _ row: Problem.Row, detail: String, errors: [FieldIssue] = [],
        headers: HTTPHeaders = [:]
    ) {
        self.init(
            status: row.status, code: row.code, title: row.title, detail: detail, errors: errors,
            headers: headers + (row.retryAfter.map { ["Retry-After": String($0)] } ?? [:]))
    }
}
