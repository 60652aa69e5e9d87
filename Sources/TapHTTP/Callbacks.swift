internal import CErrorPage
internal import CMicroHTTPD
internal import Glibc
internal import TapSystem

// The library calls these on its threads. They capture no values; the context is the server.

/// Calls `body` with the server, without counting a reference: all threads would write to the same counter.
private func withServer<Result>(_ context: UnsafeMutableRawPointer, _ body: (HTTPServer) -> Result) -> Result {
    // SAFETY: `HTTPServer.stop` ends the library's threads before the server is released.
    unsafe Unmanaged<HTTPServer>.fromOpaque(context)._withUnsafeGuaranteedRef { body($0) }
}

/// Called with the undecoded target of a request (`MHD_OPTION_URI_LOG_CALLBACK`).
nonisolated(unsafe) let targetCallback:
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? = {
        context, target, connection in
        guard let context = unsafe context, let target = unsafe target, let connection = unsafe connection else {
            return nil
        }
        unsafe withServer(context) { server in
            // SAFETY: the library ends the text with a NUL, and keeps it alive during this call.
            unsafe server.read(target: UnsafeRawBufferPointer(start: target, count: strlen(target)), of: connection)
        }
        return nil
    }

/// `MHD_LogCallback`: usually called before the library refuses a request by itself.
nonisolated(unsafe) let logCallback: MHD_LogCallback = { context, format, arguments in
    guard let context = unsafe context, let format = unsafe format, let arguments = unsafe arguments else { return }
    let notice = unsafe tapster_library_notice(format, arguments)
    // SAFETY: the library keeps the text alive during this call.
    let text = unsafe notice.text.map { unsafe String(cString: $0) } ?? ""
    unsafe withServer(context) { unsafe $0.answerForLibrary(status: notice.status, text: text) }
}

/// `MHD_AccessHandlerCallback`: called after the headers, for each part of the body, at its end, and after a resume.
nonisolated(unsafe) let accessCallback: MHD_AccessHandlerCallback = {
    context, connection, target, method, version, data, size, slot in
    guard let context = unsafe context, let connection = unsafe connection, let slot = unsafe slot else { return .NO }
    return unsafe withServer(context) { server in
        guard let held = unsafe slot.pointee else {
            guard let target = unsafe target, let method = unsafe method, let version = unsafe version else {
                return .NO
            }
            let line = unsafe RequestLine(method: method, target: target, version: version)
            guard let exchange = unsafe server.begin(connection, line) else { return .NO }
            // SAFETY: released in `completedCallback`, which follows each request whose slot was set.
            unsafe slot.pointee = Unmanaged.passRetained(exchange).toOpaque()
            return unsafe server.refuseEarly(exchange, connection)
        }
        // SAFETY: retained above.
        let exchange = unsafe Unmanaged<HTTPExchange>.fromOpaque(held).takeUnretainedValue()
        if let size = unsafe size, unsafe size.pointee > 0, let data = unsafe data {
            // SAFETY: the library keeps the part alive during this call.
            let part = unsafe UnsafeRawBufferPointer(start: data, count: size.pointee)
            unsafe size.pointee = 0
            return unsafe server.receive(part, exchange) ? .YES : .NO
        }
        return unsafe server.proceed(exchange, connection)
    }
}

/// `MHD_RequestCompletedCallback`: the request was answered, or its connection broke.
nonisolated(unsafe) let completedCallback: MHD_RequestCompletedCallback = { context, _, slot, _ in
    guard let context = unsafe context, let held = unsafe slot?.pointee else { return }
    // SAFETY: this releases the reference that `accessCallback` retained.
    let exchange = unsafe Unmanaged<HTTPExchange>.fromOpaque(held).takeRetainedValue()
    unsafe slot?.pointee = nil
    unsafe withServer(context) { $0.complete(exchange) }
}

/// `MHD_NotifyConnectionCallback`: a connection begins or ends.
nonisolated(unsafe) let connectionCallback: MHD_NotifyConnectionCallback = { context, connection, slot, code in
    guard let context = unsafe context, let connection = unsafe connection, let slot = unsafe slot else { return }
    unsafe withServer(context) { server in
        if code == .CONNECTION_NOTIFY_STARTED {
            guard let client = unsafe server.connect(connection) else { return }
            // SAFETY: released below, when the connection ends.
            unsafe slot.pointee = Unmanaged.passRetained(client).toOpaque()
        } else if let held = unsafe slot.pointee {
            // SAFETY: this releases the reference that was retained when the connection started.
            server.disconnect(unsafe Unmanaged<ClientConnection>.fromOpaque(held).takeRetainedValue())
            unsafe slot.pointee = nil
        }
    }
}

/// `MHD_ContentReaderFreeCallback`: a response has been sent; releases its body.
nonisolated(unsafe) let freeBodyCallback: MHD_ContentReaderFreeCallback = { context in
    guard let context = unsafe context else { return }
    unsafe Unmanaged<HTTPBody>.fromOpaque(context).release()
}

/// `MHD_ContentReaderCallback`: the library can send more of a stream.
nonisolated(unsafe) let readStreamCallback: MHD_ContentReaderCallback = { context, _, buffer, size in
    guard let context = unsafe context, let buffer = unsafe buffer else { return HTTPStream.end }
    // SAFETY: the response holds the stream until `freeStreamCallback`.
    let stream = unsafe Unmanaged<HTTPStream>.fromOpaque(context).takeUnretainedValue()
    return unsafe stream.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: size))
}

/// `MHD_ContentReaderFreeCallback`: the library will read no more of the stream; releases it.
nonisolated(unsafe) let freeStreamCallback: MHD_ContentReaderFreeCallback = { context in
    guard let context = unsafe context else { return }
    unsafe Unmanaged<HTTPStream>.fromOpaque(context).release()
}

/// `MHD_UpgradeHandler`: 101 has been sent. The library closes its descriptor at once, so that the connection no longer
/// counts against the limits of the HTTP server; the taker gets a duplicate.
nonisolated(unsafe) let upgradeCallback: MHD_UpgradeHandler = { context, _, _, _, _, socket, handle in
    // SAFETY: the exchange retains the upgrade until the request is complete (see `HTTPServer.queue`).
    let upgrade = unsafe context.map { unsafe Unmanaged<HTTPUpgrade>.fromOpaque($0).takeUnretainedValue() }
    let copy = fcntl(socket, F_DUPFD_CLOEXEC, 0)
    if let handle = unsafe handle { unsafe tapster_mhd_end_upgrade(handle) }
    upgrade?.take(copy < 0 ? nil : OwnedDescriptor(owning: copy))
}
