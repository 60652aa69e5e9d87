internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// A request, and the functions that read its parts and answer it.
struct Call: Sendable {
    /// The longest time in seconds for which a request may wait.
    static let waitSecondsMax = 300

    let request: HTTPRequest
    let exchange: HTTPExchange
    let route: Route
    let identity: Identity

    /// The caller, for the history.
    var author: Author {
        Author(name: identity.name, source: identity.source, request: request.head.identifier)
    }

    func answer(_ response: consuming HTTPResponse) {
        exchange.respond(finished(response))
    }

    /// Answers 101. `taker` is called as documented at `HTTPExchange.upgrade`.
    func upgrade(to protocolName: String, taker: @escaping @Sendable (OwnedDescriptor?) -> Void) {
        let response = HTTPResponse(status: 101, headers: ["Upgrade": protocolName])
        exchange.upgrade(finished(response), taker: taker)
    }

    /// Counts the response and adds `X-Request-Id`.
    private func finished(_ response: consuming HTTPResponse) -> HTTPResponse {
        response.requestIdentifier = request.head.identifier
        route.responses.count(
            method: request.head.method, code: response.status, duration: request.head.received.duration(to: .now))
        return response
    }

    func fail(_ problem: Problem) {
        answer(problem.response(path: request.head.path, requestIdentifier: request.head.identifier))
    }

    /// If `entityTag` is `nil`, the answer to a GET has the SHA-256 of its body as entity tag, so that polling gets 304
    /// while the body is the same.
    func answer(json: JSONValue, status: Int = 200, entityTag: String? = nil) {
        if entityTag == nil, status == 200, ["GET", "HEAD"].contains(request.head.method) {
            let bytes = json.bytes
            let entityTag = "\"" + SHA256.text(SHA256.digest(bytes)) + "\""
            return answer(HTTPBody(bytes), type: "application/json", entityTag: entityTag)
        }
        var response = Self.response(json: json, status: status)
        if let entityTag { response.headers.append("ETag", entityTag) }
        answer(response)
    }

    /// For GET: 304 if the client has this version already.
    func answer(json: @autoclosure () -> JSONValue, unless entityTag: String) {
        if Preconditions(request).isUnmodified(entityTag) {
            answer(HTTPResponse(status: 304, headers: ["ETag": entityTag]))
        } else {
            answer(json: json(), entityTag: entityTag)
        }
    }

    /// For GET: the body, or 304 if the client has this version already.
    ///
    /// - Parameters:
    ///   - body: The content.
    ///   - type: Media type of the body.
    ///   - entityTag: Version of the body, in quotes.
    ///   - isWeak: Whether bodies of the same version may differ in their bytes (RFC 9110, section 8.8.1).
    func answer(_ body: @autoclosure () -> HTTPBody, type: String, entityTag: String, isWeak: Bool = false) {
        let tag = isWeak ? "W/" + entityTag : entityTag
        if Preconditions(request).isUnmodified(entityTag) {
            answer(HTTPResponse(status: 304, headers: ["ETag": tag]))
        } else {
            let body = body()
            answer(HTTPResponse(status: 200, headers: ["Content-Type": type, "ETag": tag], body: body))
        }
    }

    static func response(json: JSONValue, status: Int) -> HTTPResponse {
        HTTPResponse(status: status, headers: Self.jsonHeaders, body: HTTPBody(json.bytes))
    }

    func answer(text: String, status: Int = 200, type: String = "text/plain; charset=utf-8") {
        answer(HTTPResponse(status: status, headers: ["Content-Type": type], body: HTTPBody(text)))
    }

    func answer(_ view: DeviceView, status: Int = 200) {
        answer(Self.response(view, status: status))
    }

    static func response(_ view: DeviceView, status: Int) -> HTTPResponse {
        var headers: HTTPHeaders = ["Content-Type": "application/json", "ETag": view.entityTag]
        if status == 201 { headers.append("Location", "/v1/devices/\(view.record.name)") }
        return HTTPResponse(status: status, headers: headers, body: view.body)
    }

    private static let jsonHeaders: HTTPHeaders = ["Content-Type": "application/json"]

    /// Runs `body` on a thread that may block on the database.
    ///
    /// - Throws: `Refusal.tooManyReads`; an error of `body` becomes the answer.
    func read(
        on engine: Engine, _ body: @escaping @Sendable () throws(StoreError) -> Void
    ) throws(Problem) {
        try perform(on: engine, whenFull: .tooManyReads) { () throws(Problem) in
            do throws(StoreError) { try body() } catch { throw .refused(.store(error)) }
        }
    }

    /// Runs `body` on the reader thread; a problem becomes the answer.
    ///
    /// - Throws: `refusal` if too many calls wait for that thread.
    func perform(
        on engine: Engine, whenFull refusal: Refusal,
        _ body: @escaping @Sendable () throws(Problem) -> Void
    ) throws(Problem) {
        let isAccepted = engine.read {
            do throws(Problem) { try body() } catch { self.fail(error) }
        }
        if !isAccepted { throw .refused(refusal) }
    }

    // MARK: Parts of the request

    /// The path segment of a parameter. A parameter that the route's pattern does not have is a programming error;
    /// release builds return an empty text.
    func parameter(_ parameter: PathParameter) -> String {
        guard let place = route.place(of: parameter) else {
            assertionFailure("\(route.pattern) has no {\(parameter.rawValue)}")
            return ""
        }
        return request.head.segments[place]
    }

    /// A query parameter, converted by `read`; `nil` if the request does not have it.
    ///
    /// - Throws: `Problem.invalidParameter` if `read` throws.
    func query<Value>(_ name: String, _ read: (String) throws(ValidationError) -> Value) throws(Problem) -> Value? {
        guard let text = request.head.query[name] else { return nil }
        do throws(ValidationError) { return try read(text) } catch {
            throw .invalidParameter(name: name, detail: error.detail)
        }
    }

    /// The device name in the path.
    ///
    /// - Throws: `Problem.invalidName`.
    func name() throws(Problem) -> DeviceName {
        do throws(ValidationError) { return try DeviceName(parameter(.name)) } catch {
            throw .invalidName(error.detail)
        }
    }

    /// The device name in the path of a request that creates the device.
    ///
    /// - Throws: `Refusal.invalidDocument`, as for a name in the body.
    func nameToCreate() throws(Problem) -> DeviceName {
        do throws(ValidationError) { return try DeviceName(parameter(.name)) } catch {
            throw .refused(.invalidDocument([FieldIssue(pointer: "/metadata/name", detail: error.detail)]))
        }
    }

    /// The device in the path, from a snapshot.
    ///
    /// - Throws: `Problem.invalidName`, `Refusal.deviceNotFound`.
    func device(in snapshot: Snapshot) throws(Problem) -> DeviceView {
        let name = try name()
        guard let view = snapshot.devices[name] else { throw .refused(.deviceNotFound(name.text)) }
        return view
    }

    /// The revision in the path: a positive decimal number without sign and leading zeros.
    ///
    /// - Throws: What `problem` returns for the text if it is not such a number.
    func revision(orElse problem: (String) -> Problem) throws(Problem) -> Int {
        let text = parameter(.revision)
        guard let revision = Int(text), revision > 0, String(revision) == text else { throw problem(text) }
        return revision
    }

    /// The query parameter `consumer`; `nil` if the request does not have it.
    func consumer() throws(Problem) -> ConsumerName? {
        try query("consumer") { (text) throws(ValidationError) in
            do throws(ValidationError) { return try ConsumerName(text) } catch {
                throw ValidationError("is not a consumer name: \(error.detail)")
            }
        }
    }

    /// The query parameter `wait`, such as `5s`; `nil` if the request does not have it.
    func wait() throws(Problem) -> Duration? {
        try duration(Route.wait, in: .zero ... .seconds(Self.waitSecondsMax))
    }

    /// A query parameter that is `true` or `false`; false if the request does not have it.
    func flag(_ parameter: String) throws(Problem) -> Bool {
        switch request.head.query[parameter] {
        case nil, "false": return false
        case "true": return true
        default: throw .invalidParameter(name: parameter, detail: "must be true or false")
        }
    }

    func labelSelector() throws(Problem) -> LabelSelector? {
        try query("labelSelector") { (text) throws(ValidationError) in try LabelSelector(text) }
    }

    func continueToken() throws(Problem) -> ContinueToken? {
        try query("continue") { (text) throws(ValidationError) in try ContinueToken(text) }
    }

    /// A duration within bounds; `nil` if the request does not have the parameter.
    func duration(_ parameter: String, in bounds: ClosedRange<Duration>) throws(Problem) -> Duration? {
        try query(parameter) { (text) throws(ValidationError) in
            let duration = try Duration(text: text)
            guard bounds.contains(duration) else {
                throw ValidationError(
                    "is \(text), but must be \(bounds.lowerBound.inSeconds) to \(bounds.upperBound.inSeconds)")
            }
            return duration
        }
    }

    func integer(_ parameter: String, in bounds: ClosedRange<Int>, default fallback: Int) throws(Problem) -> Int {
        guard let text = request.head.query[parameter] else { return fallback }
        guard let number = Int(text), bounds.contains(number) else {
            throw .invalidParameter(
                name: parameter, detail: "must be a whole number from \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return number
    }

    /// The body, parsed as JSON; its media type must be one of `types`.
    ///
    /// - Throws: `Problem.unsupportedMediaType`, `.unsupportedEncoding`, `.notJSON`.
    func document(_ types: [String] = ["application/json"]) throws(Problem) -> JSONValue {
        let type = request.head.header("content-type")
        let essence = type?.split(separator: ";").first?.lowercased().filter { $0 != " " }
        guard let essence, types.contains(essence) else {
            throw .unsupportedMediaType(found: type, wanted: types)
        }
        if let coding = request.head.list("content-encoding"), coding.lowercased() != "identity" {
            throw .unsupportedEncoding(coding)
        }
        do throws(JSONSyntaxError) {
            return try JSONValue(parsing: request.body)
        } catch {
            throw .notJSON(error.detail)
        }
    }

    /// The body, parsed as JSON and converted by `read`.
    func input<Input>(
        _ types: [String] = ["application/json"], _ read: (JSONValue) throws(InvalidDocument) -> Input
    ) throws(Problem) -> Input {
        let document = try document(types)
        do throws(InvalidDocument) { return try read(document) } catch {
            throw .refused(.invalidDocument(error.issues))
        }
    }
}

extension Duration {
    fileprivate var inSeconds: String { "\(components.seconds)s" }
}
