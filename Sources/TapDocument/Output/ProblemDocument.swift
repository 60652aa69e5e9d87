/// Why a request is refused (RFC 9457).
public struct ProblemDocument: Hashable, Sendable {
    /// The HTTP status code.
    public var status: Int
    /// A word for machines, such as `DEVICE_NOT_FOUND`. A client must expect words that it does not know.
    public var code: String
    /// A sentence for people that is the same for each problem of this code.
    public var title: String
    /// A sentence for people about this problem: what was found and what to do.
    public var detail: String
    /// The path that was asked for.
    public var instance: String
    /// The request's `X-Request-Id`.
    public var requestIdentifier: String
    /// Each mistake in the request's document.
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

    /// A URN that is made of the code.
    public var type: String { "urn:tapster:problem:\(code)" }
}

extension ProblemDocument: AnswerDocument {
    public static let mediaType = "application/problem+json"

    public var document: JSONValue { JSONMembers.object(encode) }

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

    /// - Throws: `InvalidDocument` unless there are a detail, a title, a status and a code.
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
