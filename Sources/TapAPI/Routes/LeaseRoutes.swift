internal import HashTreeCollections
internal import TapCore
internal import TapDocument
internal import TapHTTP
internal import TapStore
internal import TapSystem
internal import TapEngine

/// Lease routes. Acquiring upgrades the connection; the others list and revoke.
struct LeaseRoutes: Sendable {
    let engine: Engine

    var routes: [Route] {
        [
            Route(
                "GET", "/v1/devices/{name}/lease", .lease, parameters: ["consumer", "queues", "force"],
                answers: .other, handler: lease),
            Route("GET", "/v1/leases", .view, handler: list),
            Route("GET", "/v1/leases/{id}", .view, handler: read),
            Route(
                "DELETE", "/v1/leases/{id}", .operate, parameters: ["recreate", "force"], answers: .other,
                handler: revoke),
        ]
    }

    @Sendable private func lease(_ call: Call) throws(Problem) {
        let device = try call.name()
        guard case .local(let peer) = call.exchange.origin else { throw .unixSocketRequired }
        guard call.request.head.offers(LeaseMessage.protocolName) else { throw .upgradeRequired }
        let request = LeaseRequest(
            device: device, consumer: try call.consumer(), queues: try Self.queues(call),
            force: try call.flag("force"), peer: peer,
            userName: engine.userNames.name(of: peer.user), command: ProcessName.read(peer.process),
            isAllowedByRole: call.identity.permissions.contains(Permission.lease),
            mayView: call.identity.permissions.contains(Permission.view))
        let reply = LeaseReply {
            call.fail(.refused($0))
        } accept: { handOver in
            call.upgrade(to: LeaseMessage.protocolName, taker: handOver)
        }
        try refusing { () throws(Refusal) in try engine.perform(.grant(request, reply)) }
    }

    /// The query parameter `queues`, such as `0,1`; `nil` if the request does not have it.
    private static func queues(_ call: Call) throws(Problem) -> [Int]? {
        guard let text = call.request.head.query["queues"] else { return nil }
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            // Digits only: `UInt8` accepts `-0`.
            part.utf8.count <= 3 && part.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? UInt8(part).map(Int.init) : nil
        }
        let queues = numbers.compactMap { $0 }
        guard !queues.isEmpty, queues.count == numbers.count, Set(queues).count == queues.count else {
            throw .invalidParameter(
                name: "queues", detail: "must be different queue indexes separated by commas, such as 0,1")
        }
        return queues
    }

    @Sendable private func list(_ call: Call) throws(Problem) {
        let leases = engine.snapshot.devices.values.flatMap(\.leases)
            .sorted { ($0.device, $0.indexes.first ?? 0) < ($1.device, $1.indexes.first ?? 0) }
        call.answer(json: ItemList(leases.map(LeaseDocument.init)).document)
    }

    @Sendable private func read(_ call: Call) throws(Problem) {
        let id = try Self.identifier(call)
        guard let lease = engine.snapshot.devices.values.lazy.flatMap(\.leases).first(where: { $0.id == id }) else {
            throw .refused(.leaseNotFound(id.text))
        }
        call.answer(json: LeaseDocument(lease).document)
    }

    @Sendable private func revoke(_ call: Call) throws(Problem) {
        let id = try Self.identifier(call)
        let revocation = Revocation(recreate: try call.flag("recreate"), force: try call.flag("force"))
        try refusing { () throws(Refusal) in
            try engine.revoke(id, revocation, by: call.author) { refusal in
                if let refusal { call.fail(.refused(refusal)) } else { call.answer(HTTPResponse(status: 204)) }
            }
        }
    }

    private static func identifier(_ call: Call) throws(Problem) -> LeaseIdentifier {
        let text = call.parameter(.id)
        guard let id = LeaseIdentifier(text) else { throw .refused(.leaseNotFound(text)) }
        return id
    }
}

extension RequestHead {
    /// Whether the client offers to upgrade to this protocol (RFC 9110, section 7.8).
    fileprivate func offers(_ name: String) -> Bool {
        canUpgrade && tokens("connection").contains("upgrade") && tokens("upgrade").contains(name)
    }

    private func tokens(_ field: StaticString) -> [String] {
        (header(field) ?? "").split(separator: ",").map { $0.lowercased().filter { $0 != " " && $0 != "\t" } }
    }
}
