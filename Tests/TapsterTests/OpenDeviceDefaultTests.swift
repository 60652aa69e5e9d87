import TestSupport
import Testing

/// The default of `multiQueue`: programs that open one queue by name, such as QEMU with `ifname=`, do not set
/// `IFF_MULTI_QUEUE`, and the kernel refuses them on a multiqueue device.
@Suite(.privileged) struct OpenDeviceDefaultTests {
    @Test(arguments: [
        (#"{"access": "open", "owner": 0}"#, false), (#"{"access": "open", "queues": 1}"#, false),
        (#"{"access": "open", "kind": "tap", "vnetHeader": true}"#, false), (#"{"access": "open", "queues": 2}"#, true),
        (#"{"access": "open", "queues": 1, "multiQueue": true}"#, true), ("{}", true), (#"{"queues": 1}"#, true),
    ]) func oneOpenQueueIsForTheOldABI(spec: String, isMultiple: Bool) async throws {
        try await withDaemon { (daemon) throws in
            let created = try daemon.create("open0", spec: spec)
            #expect(created.status == 201)
            #expect(created["spec", "multiQueue"] as? Bool == isMultiple)
            let consumer = try Consumer("open0", multiQueue: isMultiple)
            #expect(consumer.isAttached == true)
            #expect(throws: TestFailure.self) { try Consumer("open0", multiQueue: !isMultiple) }
        }
    }

    /// What a document omits and the kernel cannot change stays as it is, for PUT and for an apply.
    @Test func anExistingDeviceKeepsWhatADocumentOmits() async throws {
        try await withDaemon { (daemon) throws in
            try daemon.create("multi0", spec: #"{"access": "open", "multiQueue": true}"#)
            try daemon.create("single0", spec: #"{"multiQueue": false}"#)
            try daemon.create("tun0", spec: #"{"kind": "tun", "vnetHeader": false}"#)
            let before = try ["multi0", "single0", "tun0"].map { try Interface($0)?.index }
            let spec = #"{"spec": {"access": "open", "owner": 0, "link": {"alias": "new"}}}"#
            for name in ["multi0", "single0", "tun0"] {
                let put = try daemon.send("PUT", "/v1/devices/\(name)?wait=10s", json: spec)
                #expect(put.status == 200, "\(put.text)")
                #expect(put["spec", "multiQueue"] as? Bool == (name != "single0"))
                #expect(put["spec", "kind"] as? String == (name == "tun0" ? "tun" : "tap"))
                #expect(put["spec", "vnetHeader"] as? Bool == (name != "tun0"))
            }
            let apply = #"""
                {"devices": [{"metadata": {"name": "multi0"}, "spec": {"access": "open", "owner": 0}},
                             {"metadata": {"name": "single0"}, "spec": {"access": "open", "owner": 0}},
                             {"metadata": {"name": "tun0"}, "spec": {"access": "open", "owner": 0}}]}
                """#
            #expect(try daemon.send("POST", "/v1/apply?wait=10s", json: apply).status == 200)
            #expect(try ["multi0", "single0", "tun0"].map { try Interface($0)?.index } == before)
            // What a document states is still refused, and more queues need the multiqueue ABI.
            for stated in [#"{"access": "open", "queues": 2}"#, #"{"access": "open", "multiQueue": true}"#] {
                let put = try daemon.send("PUT", "/v1/devices/single0", json: #"{"spec": \#(stated)}"#)
                #expect(put.status == 409, "\(stated)")
            }
        }
    }
}
