/// Why a request failed (RFC 9457).
public struct ProblemDocument: Hashable, Sendable {
    /// The HTTP status code.
    public var status: Int
    /// A code for programs, such as `DEVICE_NOT_FOUND`. A client must expect unknown codes.
    public var code: String
    /// A text for people, fixed for each kind of problem.
    public var title: String
    /// A text for people about this occurrence: what was found and what to do.
    public var detail: String
    /// The requested path.
    public var instance: String
    /// The request's `X-Request-Id`.
    public var requestIdentifier: String
    /// The mistakes in the request's document; empty for other problems.
    public var errors: [FieldIssue]

    public init(
        status: Int, code: String, title: String, detail: String, instance: String, requestIdentifier: String,
        errors: [FieldIssue] = []
    ) {
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.instance = instance
        self.requestIdentifier = requestIdentifier
        self.errors = errors
    }

    /// A URN with the code.
    public var type: String { "urn:tapster:problem:\(code)" }
}

extension ProblemDocument: AnswerDocument {
    /// The value of `Content-Type`.
    public static let mediaType = "application/problem+json"

    /// The member `errors` is omitted if it is empty.
    public var document: JSONValue { JSONMembers.object(encode) }

    /// Written without a tree of values, which is faster.
    public var bytes: [UInt8] { JSONWriter.object(encode) }

    private func encode(to json: inout some JSONSink) {
        json.member("type", type)
        json.member("title", title)
        json.member("status", status)
        json.member("detail", detail)
        json.member("instance", instance)
        json.member("code", code)
        json.member("requestId", requestIdentifier)
        guard !errors.isEmpty else { return }
        json.objects("errors", errors) { $1.encode(to: &$0) }
    }

    /// - Throws: `InvalidDocument` if status, code, title or detail is missing.
    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        status = try reader.value("status")
        code = try reader.value("code")
        title = try reader.value("title")
        detail = try reader.value("detail")
        instance = try reader.optional("instance") ?? ""
        requestIdentifier = try reader.optional("requestId") ?? ""
        errors = try reader.list("errors")
    }
}

extension FieldIssue: JSONReadable {
    fileprivate func encode(to json: inout some JSONSink) {
        json.member("pointer", pointer)
        json.member("detail", detail)
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        self.init(pointer: try reader.value("pointer"), detail: try reader.value("detail"))
    }
}
