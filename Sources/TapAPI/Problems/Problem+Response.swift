internal import TapDocument
internal import TapHTTP
internal import TapEngine
internal import TapSystem

extension Problem {
    /// The response, a problem document (RFC 9457).
    func response(path: String, requestIdentifier: String) -> HTTPResponse {
        let words = words
        let document = ProblemDocument(
            status: words.status, code: words.code, title: words.title, detail: words.detail, instance: path,
            requestIdentifier: requestIdentifier, errors: words.errors)
        return HTTPResponse(
            status: words.status, headers: words.headers + ["Content-Type": ProblemDocument.mediaType],
            body: HTTPBody(document.bytes))
    }
}
