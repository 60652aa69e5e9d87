internal import TapDocument
internal import TapHTTP
internal import TapEngine

/// `/v1/watch`.
struct WatchRoutes: Sendable {
    let engine: Engine
    let watchers: Watchers
    let authenticator: Authenticator
    let metrics: Metrics

    var routes: [Route] {
        [
            Route(
                "GET", "/v1/watch", .view, parameters: ["resourceVersion", "labelSelector"], answers: .other,
                handler: watch)
        ]
    }

    @Sendable private func watch(_ call: Call) throws(Problem) {
        let head = call.request.head
        let offers = [
            (WatchFormat.lines, [WatchFormat.lines.rawValue, "application/json"]),
            (WatchFormat.eventStream, [WatchFormat.eventStream.rawValue]),
        ]
        let accept = head.list("accept")
        guard let format = AcceptHeader(accept).best(of: offers) else {
            throw .notAcceptable(found: accept ?? "", offered: WatchFormat.allCases.map(\.rawValue))
        }
        let selector = try call.labelSelector()
        let revision = try Self.revision(call)
        let start = try refusing { () throws(Refusal) in try engine.watch(after: revision) }
        let headers: HTTPHeaders = [
            "Content-Type": format.rawValue, "Cache-Control": "no-store", "Vary": "Accept",
        ]
        guard head.method != "HEAD" else {
            return call.answer(HTTPResponse(status: 200, headers: headers, stream: HTTPStream(EmptyStream())))
        }
        let watcher = Watcher(
            engine, from: start, selector: selector, format: format, owner: call.identity.name,
            refusal: { [authenticator, origin = call.exchange.origin] in Self.refusal(head, origin, by: authenticator)
            },
            describe: { $0.response(path: head.path, requestIdentifier: head.identifier).body },
            dropped: { [metrics] in metrics.watchersDropped.increment([$0.rawValue]) },
            onEnd: { [watchers] in watchers.remove($0) })
        call.answer(HTTPResponse(status: 200, headers: headers, stream: try watchers.add(watcher)))
    }

    /// Why the request would be refused now; `nil` if it would still be allowed.
    private static func refusal(_ head: RequestHead, _ origin: HTTPOrigin, by authenticator: Authenticator) -> Problem?
    {
        do throws(AccessRefusal) {
            let identity = try authenticator.authenticate(head, from: origin, in: .authenticated)
            return identity.allows(.view) ? nil : .denied(.forbidden(.view, identity))
        } catch {
            return .denied(error)
        }
    }

    /// The revision from which the client resumes; `nil` if it starts with all devices. A browser that reconnects sends
    /// `Last-Event-ID` beside the parameter of its first request, so the header takes precedence.
    private static func revision(_ call: Call) throws(Problem) -> Int? {
        for (name, text) in [
            ("Last-Event-ID", call.request.head.header("last-event-id")),
            ("resourceVersion", call.request.head.query["resourceVersion"]),
        ] {
            guard let text, !text.isEmpty || name == "resourceVersion" else { continue }
            guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let revision = Int(text) else {
                throw .invalidParameter(
                    name: name, detail: "must be the metadata.resourceVersion of a list or an event")
            }
            return revision
        }
        return nil
    }
}

/// An empty stream, the answer to HEAD.
private struct EmptyStream: HTTPStreamSource {
    func next(isStopping: Bool) -> HTTPStreamStep { .end }
    func ended(isOverdue: Bool) {}
}
