internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapEngine
internal import TapSystem

extension IdempotentRequest {
    /// `nil` if the request has no `Idempotency-Key`, or its method is idempotent anyway (RFC 9110, section 9.2.2).
    ///
    /// - Throws: `Problem.invalidHeader` if the key is invalid.
    init?(_ call: Call) throws(Problem) {
        let head = call.request.head
        guard head.method == "POST", let text = head.header("idempotency-key") else { return nil }
        let key: IdempotencyKey
        do throws(ValidationError) { key = try IdempotencyKey(text) } catch {
            throw .invalidHeader(name: "Idempotency-Key", detail: error.detail)
        }
        // Sorted, since the order of the parameters has no meaning.
        let query = head.query.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let target = ([head.method, head.path] + query).joined(separator: "\n")
        self.init(
            key: key, actor: call.author.name,
            fingerprint: SHA256.digest(Array(target.utf8) + [0] + call.request.body))
    }

    func remember(_ response: HTTPResponse, in group: inout WriteGroup) throws(Refusal) {
        try remember(
            status: response.status,
            headers: Dictionary(response.headers.fields, uniquingKeysWith: { $1 }),
            body: response.body.bytes, in: &group)
    }
}

extension HTTPResponse {
    init(_ past: PastAnswer) {
        var headers: HTTPHeaders = [:]
        for (name, value) in past.headers { headers.append(name, value) }
        headers.append("Idempotency-Replayed", "true")
        self.init(status: past.status, headers: headers, body: HTTPBody(past.body))
    }
}
