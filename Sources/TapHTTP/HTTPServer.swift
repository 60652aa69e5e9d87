internal import CErrorPage
internal import CGnuTLS
internal import CMicroHTTPD
internal import Foundation
internal import Glibc
internal import Synchronization
internal import TapSystem

/// An HTTP server: libmicrohttpd with epoll, a few threads, and a handler that may respond at any time.
public final class HTTPServer: Sendable {
    private let listener: HTTPListener
    private let limits: HTTPLimits
    private let handler: any HTTPHandler
    private let clients: ClientConnections
    /// Of each of the library's threads.
    private let handlers: [any HTTPHandler]
    private let threads = Mutex<[pthread_t]>([])
    private let isStopping = Atomic(false)
    private let bodyBytes = Atomic(0)
    // SAFETY: the library's handle; `MHD_stop_daemon` is called once, since `stop` takes the handle first.
    private let daemon = Mutex<Handle?>(nil)

    @safe private struct Handle: @unchecked Sendable {
        // Unchecked: the library's functions on a daemon may be called from any thread.
        let pointer: OpaquePointer
    }

    /// Spare connections of the library, for those that were refused and that it has not closed yet.
    private static let closingConnectionsMax = 64

    public init(listener: HTTPListener, limits: HTTPLimits = HTTPLimits(), handler: some HTTPHandler) {
        self.listener = listener
        self.limits = limits
        self.handler = handler
        handlers = (0..<limits.threads).map { _ in handler.forOneThread() }
        clients = ClientConnections(limits: limits, onCutOff: { handler.wasCutOff($0) })
    }

    /// Connections that were cut off for being slow, for tests.
    package var overdueConnections: Int { clients.overdueCount }

    /// Starts to accept connections.
    ///
    /// - Throws: `HTTPServerError` if a thread cannot be started, or too many files are open.
    public func start() throws(HTTPServerError) {
        do throws(ThreadFailure) { try clients.start() } catch { throw HTTPServerError(description: "\(error)") }
        do throws(HTTPServerError) { try startLibrary() } catch {
            clients.stop()
            throw error
        }
    }

    private func startLibrary() throws(HTTPServerError) {
        var settings = unsafe tapster_mhd_settings()
        // The library closes the descriptor that it gets, so it gets a duplicate.
        let listening = listener.socket.map { fcntl($0.number, F_DUPFD_CLOEXEC, 0) }
        if let listening, listening < 0 {
            throw HTTPServerError(description: "too many files are open for \(listener)")
        }
        unsafe settings.listen_socket = listening ?? -1
        unsafe settings.threads = UInt32(limits.threads)
        // The library divides its limit among its threads and leaves further connections unanswered. Multiplied by the
        // number of threads the limit is never reached, and `ClientConnections` refuses with an answer.
        unsafe settings.connections_max = UInt32(
            (limits.connectionsMax + limits.reservedConnectionsMax + Self.closingConnectionsMax) * limits.threads)
        unsafe settings.connection_memory_bytes_max = limits.headerBytesMax
        unsafe settings.allows_upgrade = listener.isUnix ? 1 : 0
        if let tls = listener.tls {
            // SAFETY: the server keeps the listener, and that keeps the texts, alive.
            unsafe settings.certificates = UnsafePointer(tls.certificates)
            unsafe settings.key = UnsafePointer(tls.key)
            unsafe settings.client_authorities = unsafe tls.clientAuthorities.map { unsafe UnsafePointer($0) }
        }
        unsafe settings.handler = accessCallback
        unsafe settings.completed = completedCallback
        unsafe settings.connection = connectionCallback
        unsafe settings.target = targetCallback
        unsafe settings.log = logCallback
        // SAFETY: `stop` releases this reference after the last callback.
        unsafe settings.context = Unmanaged.passRetained(self).toOpaque()
        // SAFETY: the library reads the priorities only during the call.
        let started = unsafe HTTPTLS.priorities.withCString { priorities in
            unsafe settings.tls_priorities = priorities
            return unsafe tapster_mhd_start(&settings)
        }
        guard let pointer = unsafe started else {
            unsafe Unmanaged.passUnretained(self).release()
            if let listening { close(listening) }
            throw HTTPServerError(description: "the HTTP server cannot start on \(listener)")
        }
        daemon.withLock { $0 = unsafe Handle(pointer: pointer) }
    }

    /// Also serves a connected Unix socket, and closes it at the end.
    ///
    /// - Returns: False if the server has stopped or the library has no memory; the socket is then closed.
    func add(connected socket: OwnedDescriptor) -> Bool {
        daemon.withLock { handle in
            guard let handle else { return false }
            var address = sockaddr(sa_family: sa_family_t(AF_UNIX), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
            // SAFETY: the library copies the address during the call, and reads only its family (unix(7), unnamed).
            return unsafe MHD_add_connection(
                handle.pointer, socket.take(), &address, socklen_t(MemoryLayout<sa_family_t>.size)) == .YES
        }
    }

    /// Answers suspended and new requests with 503, and returns when the last thread has ended.
    public func stop() {
        guard let handle = daemon.withLock({ $0.take() }) else { return }
        // The library must not be stopped while connections are suspended. `MHD_quiesce_daemon`, which stops listening,
        // is not called before: its threads would race for the socket and abort the process.
        isStopping.store(true, ordering: .relaxed)
        for request in clients.requests { request.stop(handler.refuse(.stopping, nil, limits: limits)) }
        waitForAnswers()
        unsafe MHD_stop_daemon(handle.pointer)
        clients.stop()
        listener.close()
        // SAFETY: releases the reference of `start`; there are no more callbacks.
        unsafe Unmanaged.passUnretained(self).release()
    }

    /// Waits until the responses are sent, since the library discards unsent bytes when it stops. A client that does
    /// not read delays this by at most `HTTPLimits.stopMillisecondsMax`.
    private func waitForAnswers() {
        let deadline = ContinuousClock.now + .milliseconds(limits.stopMillisecondsMax)
        while ContinuousClock.now < deadline, !clients.requests.isEmpty {
            Thread.sleep(forTimeInterval: 0.002)
        }
    }

    // MARK: Called by the library's threads

    /// A connection was accepted.
    ///
    /// - Returns: `nil` if the connection must end.
    func connect(_ connection: OpaquePointer) -> ClientConnection? {
        let socket = unsafe tapster_mhd_socket(connection)
        guard let (origin, owner) = unsafe origin(of: connection, socket: socket) else { return nil }
        // SAFETY: the session lives as long as the connection.
        if unsafe listener.tls?.clientAuthorities != nil, let session = unsafe tapster_mhd_tls_session(connection) {
            unsafe tapster_gnutls_verify_clients(OpaquePointer(session))
        }
        let client = ClientConnection(
            socket: socket, origin: origin, owner: owner, thread: threadIndex(),
            onAuthentication: { [clients] in clients.authenticate($0) })
        client.expect(.slowHeaders, within: limits.headerSecondsMax, crowded: limits.crowdedSecondsMax)
        guard clients.insert(client) else {
            refuse(socket)
            return nil
        }
        return client
    }

    /// The index of this thread, which serves the connections that it accepts. Any index would do: it is only faster if
    /// each thread has its own.
    private func threadIndex() -> Int {
        threads.withLock { threads in
            let thread = pthread_self()
            if let index = threads.firstIndex(of: thread) { return index }
            // `add` calls from other threads.
            guard threads.count < handlers.count else { return 0 }
            threads.append(thread)
            return threads.count - 1
        }
    }

    /// Answers at once: the library would wait for a request first, and the connection would count until then.
    private func refuse(_ socket: Int32) {
        let response = handler.refuse(.tooManyConnections, nil, limits: limits)
        // A TLS client cannot read it before the handshake.
        if listener.tls == nil {
            let bytes = response.closingBytes
            // SAFETY: the array lives during the call. The socket's buffer is empty, so that all bytes fit unless the
            // client has disconnected.
            _ = unsafe send(socket, bytes, bytes.count, MessageFlag.doNotWait | MessageFlag.noSignal)
        }
        shutdown(socket, ShutdownMode.both)
    }

    private func origin(of connection: OpaquePointer, socket: Int32) -> (HTTPOrigin, ConnectionOwner)? {
        if listener.isUnix { return PeerCredentials(socket: socket).map { (.local($0), ConnectionOwner($0)) } }
        // SAFETY: the library keeps the complete address alive as long as the connection.
        guard let address = unsafe tapster_mhd_address(connection),
            let found = unsafe NetworkAddress(address)
        else { return nil }
        return (.network(HTTPNetworkPeer(address: found.description)), ConnectionOwner(found))
    }

    func disconnect(_ client: ClientConnection) {
        clients.remove(client)
    }

    private func client(of connection: OpaquePointer) -> ClientConnection? {
        // SAFETY: the context is the client that `connect` returned, retained until the connection ends.
        unsafe tapster_mhd_socket_context(connection).map {
            unsafe Unmanaged<ClientConnection>.fromOpaque($0).takeUnretainedValue()
        }
    }

    /// The request line has arrived; after this the library splits the target at its query.
    func read(target: UnsafeRawBufferPointer, of connection: OpaquePointer) {
        guard let client = unsafe client(of: connection) else { return }
        client.targetBytes = target.count
        do throws(HTTPRejection) {
            client.target = .success(try unsafe RequestTarget(target, parametersMax: limits.queryParametersMax))
        } catch {
            client.target = .failure(error)
        }
    }

    /// The headers have arrived.
    ///
    /// - Returns: `nil` if the connection must end.
    func begin(_ connection: OpaquePointer, _ line: RequestLine) -> HTTPExchange? {
        guard let client = unsafe client(of: connection) else { return nil }
        unsafe identify(client, connection)
        client.expect(.slowBody, within: limits.bodySecondsMax, crowded: limits.crowdedSecondsMax)
        var incoming = HTTPExchange.Incoming()
        do throws(HTTPRejection) {
            let parts = try unsafe RequestParts(
                line, of: connection, targetBytes: client.targetBytes, fieldsMax: limits.headersMax)
            let head = RequestHead(parts, try client.takeTarget())
            incoming.request = HTTPRequest(head: head)
            let framing = try RequestFraming(
                head.parts.fields, authority: head.target.authority, isHTTP10: head.parts.isHTTP10,
                bodyBytesMax: limits.bodyBytesMax)
            // Ends the connection after a chunked request, since the library accepts malformed chunks without reporting
            // them, and other parsers may read these differently.
            incoming.closes = framing.isChunked
        } catch {
            incoming.rejection = error
        }
        return unsafe HTTPExchange(connection, client: client, incoming)
    }

    /// Called with each message that the library logs. If the message means that the library is about to refuse a
    /// request by itself, with an error page or by closing the connection, prepares the response to send instead.
    func answerForLibrary(status: UInt32, text: String) {
        // Before the library closes a TLS connection without a page, no response can be sent.
        guard let rejection = HTTPRejection(libraryStatus: status, text: text) else {
            return tapster_refusal_set(nil, 0)
        }
        let bytes = handler.refuse(rejection, nil, limits: limits).closingBytes
        guard status != 0 || listener.tls == nil else { return tapster_refusal_set(nil, 0) }
        // SAFETY: the call copies the bytes.
        unsafe tapster_refusal_set(bytes, bytes.count)
    }

    /// Reads the client's certificate; the handshake is complete, since a request has arrived.
    private func identify(_ client: ClientConnection, _ connection: OpaquePointer) {
        // SAFETY: the session lives as long as the connection.
        guard unsafe listener.tls?.clientAuthorities != nil, case .network(let peer) = client.origin,
            peer.certificate == nil, let session = unsafe tapster_mhd_tls_session(connection),
            let certificate = unsafe HTTPClientCertificate(session: OpaquePointer(session))
        else { return }
        client.add(certificate)
    }

    /// Refuses a request before its body is read, if its head is reason enough.
    func refuseEarly(_ exchange: HTTPExchange, _ connection: OpaquePointer) -> MHD_Result {
        let refusal: HTTPResponse
        if let rejection = exchange.incoming.rejection {
            refusal = handler.refuse(rejection, exchange.incoming.request, limits: limits)
        } else if let head = exchange.incoming.request?.head,
            let response = handlers[exchange.client.thread].rejectEarly(head, exchange)
        {
            refusal = response
        } else {
            return .YES
        }
        exchange.incoming.isHandled = true
        return unsafe queue(refusal, for: exchange, on: connection)
    }

    /// A part of the body has arrived.
    ///
    /// - Returns: False if the connection must end.
    func receive(_ part: UnsafeRawBufferPointer, _ exchange: HTTPExchange) -> Bool {
        let held = exchange.incoming.request?.body.count ?? 0
        if exchange.incoming.rejection == nil, held + part.count <= limits.bodyBytesMax {
            exchange.incoming.countedBytes += part.count
            let (_, all) = bodyBytes.add(part.count, ordering: .relaxed)
            if all <= limits.bodiesBytesMax {
                unsafe exchange.incoming.request?.body.append(contentsOf: part)
                return true
            }
            exchange.incoming.rejection = .tooManyBodies
            bodyBytes.subtract(exchange.incoming.countedBytes, ordering: .relaxed)
            exchange.incoming.countedBytes = 0
        }
        exchange.incoming.rejection = exchange.incoming.rejection ?? .bodyTooLarge
        exchange.incoming.request?.body = []
        exchange.incoming.discardedBytes += part.count
        return exchange.incoming.discardedBytes <= limits.refusedBodyBytesMax
    }

    /// The request is complete, or its suspended connection was resumed.
    func proceed(_ exchange: HTTPExchange, _ connection: OpaquePointer) -> MHD_Result {
        if !exchange.incoming.isHandled {
            exchange.incoming.isHandled = true
            let isAccepted = exchange.client.begin(exchange, unless: { isStopping.load(ordering: .relaxed) })
            if !isAccepted { exchange.incoming.rejection = .stopping }
            if let rejection = exchange.incoming.rejection {
                exchange.respond(handler.refuse(rejection, exchange.incoming.request, limits: limits))
            } else if let request = exchange.incoming.request {
                exchange.incoming.request = nil
                handlers[exchange.client.thread].handle(request, exchange)
            }
        }
        switch exchange.takeOrSuspend() {
        case .response(let response): return unsafe queue(response, for: exchange, on: connection)
        case .upgrade(let upgrade): return unsafe queue(upgrade, for: exchange, on: connection)
        case nil: return .YES
        }
    }

    func complete(_ exchange: HTTPExchange) {
        exchange.finish()
        let bytes = exchange.incoming.countedBytes
        // Most requests have no body, and all threads share the counter.
        if bytes > 0 { bodyBytes.subtract(bytes, ordering: .relaxed) }
        exchange.client.end()
        exchange.client.expect(.idle, within: limits.headerSecondsMax, crowded: limits.crowdedSecondsMax)
    }

    private func queue(_ upgrade: HTTPUpgrade, for exchange: HTTPExchange, on connection: OpaquePointer) -> MHD_Result {
        exchange.client.expect(
            .slowReader, within: limits.responseSecondsMax, crowded: limits.crowdedResponseSecondsMax)
        // SAFETY: the exchange holds the upgrade until the request is complete, which is after the last callback.
        guard
            let made = unsafe MHD_create_response_for_upgrade(
                upgradeCallback, Unmanaged.passUnretained(upgrade).toOpaque())
        else { return .NO }
        for (name, value) in upgrade.headers.fields { unsafe Self.add(name, value, to: made) }
        let result = unsafe tapster_queue_response(connection, UInt32(MHD_HTTP_SWITCHING_PROTOCOLS), made)
        unsafe MHD_destroy_response(made)
        return result
    }

    private func queue(_ response: HTTPResponse, for exchange: HTTPExchange, on connection: OpaquePointer) -> MHD_Result
    {
        exchange.client.expect(
            .slowReader, within: limits.responseSecondsMax, crowded: limits.crowdedResponseSecondsMax)
        let made =
            if let stream = response.stream {
                unsafe stream.response(
                    on: connection, client: exchange.client, stallSeconds: limits.streamStallSecondsMax)
            } else {
                unsafe self.response(response.body)
            }
        guard let made = unsafe made else { return .NO }
        for (name, value) in response.headers.fields { unsafe Self.add(name, value, to: made) }
        if let identifier = response.requestIdentifier {
            unsafe Self.add(HTTPResponse.identifierField, identifier, to: made)
        }
        if exchange.incoming.closes || exchange.incoming.rejection != nil {
            unsafe Self.add("Connection", "close", to: made)
        }
        let result = unsafe tapster_queue_response(connection, UInt32(response.status), made)
        unsafe MHD_destroy_response(made)
        return result
    }

    private static func add(_ name: String, _ value: String, to response: OpaquePointer) {
        // Passing a `String` to C directly costs an allocation each time; `withCString` does not.
        unsafe name.withCString { name in
            unsafe value.withCString { value in _ = unsafe MHD_add_response_header(response, name, value) }
        }
    }

    private func response(_ body: HTTPBody) -> OpaquePointer? {
        // SAFETY: the body stays retained until the library calls `freeBodyCallback`.
        let context = unsafe Unmanaged.passRetained(body)
        let made = unsafe MHD_create_response_from_buffer_with_free_callback_cls(
            body.buffer.count, body.buffer.baseAddress, freeBodyCallback, context.toOpaque())
        if unsafe made == nil { unsafe context.release() }
        return unsafe made
    }
}
