internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapEngine

/// Everything that can be wrong with a request: what HTTP and the access rules refuse, and what the engine does.
enum Problem: Error, Sendable {
    case denied(AccessRefusal)
    /// What the HTTP room refuses by itself.
    case rejected(HTTPRejection, limits: HTTPLimits)
    case bodyTooLarge(bytesMax: Int)
    case notJSON(String)
    case invalidParameter(name: String, detail: String)
    case invalidHeader(name: String, detail: String)
    /// With the paths that there are, where they are few.
    case routeNotFound(path: String, known: [String])
    case methodNotAllowed(method: String, allowed: [String])
    case unsupportedMediaType(found: String?, wanted: [String])
    case unsupportedEncoding(String)
    case invalidName(String)
    case unixSocketRequired
    case upgradeRequired
    case notAcceptable(found: String, offered: [String])
    /// Of one owner, or of all together.
    case tooManyWatchers(owner: String?, max: Int)
    case refused(Refusal)
}

/// Runs what the engine may refuse.
func refusing<Value>(_ body: () throws(Refusal) -> Value) throws(Problem) -> Value {
    do throws(Refusal) { return try body() } catch { throw .refused(error) }
}

/// Runs what access rules may refuse.
func allowing<Value>(_ body: () throws(AccessRefusal) -> Value) throws(Problem) -> Value {
    do throws(AccessRefusal) { return try body() } catch { throw .denied(error) }
}

extension Problem {
    /// The label `reason` of `tapster_http_rejected_total`; `nil` for a problem that is not counted there.
    var rejection: String? {
        switch self {
        case .denied(let refusal): refusal.rejection
        case .bodyTooLarge: HTTPRejection.bodyTooLarge.rawValue
        default: nil
        }
    }
}

extension Problem {
    /// What an answer says (RFC 9457).
    struct Words {
        let status: Int
        let code: String
        let title: String
        let detail: String
        var errors: [FieldIssue] = []
        var headers: HTTPHeaders = [:]
    }

    /// A row of the tables: what does not depend on the particular request.
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
