internal import TapDocument
internal import TapHTTP
internal import TapEngine
internal import TapSystem

extension Problem {
    /// The answer (RFC 9457).
    func response(path: String, requestIdentifier: String) -> HTTPResponse {
        let words = words
        let body = JSONWriter.object { json in
            json.member("type", "urn:tapster:problem:\(words.code)")
            json.member("title", words.title)
            json.member("status", words.status)
            json.member("detail", words.detail)
            json.member("instance", path)
            json.member("code", words.code)
            json.member("requestId", requestIdentifier)
            guard !words.errors.isEmpty else { return }
            json.objects("errors", words.errors) { json, issue in
                json.member("pointer", issue.pointer)
                json.member("detail", issue.detail)
            }
        }
        return HTTPResponse(
            status: words.status, headers: words.headers + [("Content-Type", "application/problem+json")],
            body: HTTPBody(body))
    }
}
