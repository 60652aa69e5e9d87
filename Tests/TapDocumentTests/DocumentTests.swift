import TapCore
import TapDocument
import TestSupport
import Testing

private struct OnlyRoot: Accounts {
    func userNumber(_ principal: Principal) -> UInt32? { principal == .name("root") ? 0 : nil }
    func groupNumber(_ principal: Principal) -> UInt32? { userNumber(principal) }
    func userName(_ number: UInt32) -> String? { nil }
}

@Suite struct DocumentTests {
    private func read(_ text: String) throws -> DeviceInput {
        try DeviceInput(try JSONValue(parsing: Array(text.utf8)), accounts: OnlyRoot())
    }

    private func issues(_ text: String) -> [String] {
        do {
            _ = try read(text)
            return []
        } catch {
            return (error as? InvalidDocument)?.issues.map(\.pointer) ?? ["\(error)"]
        }
    }

    @Test func onlyTheNameIsNeeded() throws {
        let input = try read(#"{"metadata": {"name": "web0"}}"#)
        #expect(input.name.text == "web0")
        #expect(input.spec == (try DeviceSpec(DeviceSpecDraft())))
    }

    @Test(arguments: [
        (#"{}"#, ["/metadata/name"]),
        (#"[]"#, [""]),
        (#"{"metadata": {"name": "sixteen-bytes-xx"}}"#, ["/metadata/name"]),
        (#"{"metadata": {"name": 5}}"#, ["/metadata/name"]),
        (#"{"metadata": {"name": "a"}, "spec": {"queues": 0}}"#, ["/spec/queues"]),
        (#"{"metadata": {"name": "a"}, "spec": {"queues": 257}}"#, ["/spec/queues"]),
        (#"{"metadata": {"name": "a"}, "spec": {"queues": 1.5}}"#, ["/spec/queues"]),
        (#"{"metadata": {"name": "a"}, "spec": {"queues": true}}"#, ["/spec/queues"]),
        (#"{"metadata": {"name": "a"}, "spec": {"queues": 1e30}}"#, ["/spec/queues"]),
        (#"{"metadata": {"name": "a"}, "spec": {"multiQueue": false, "queues": 2}}"#, ["/spec/queues"]),
        (#"{"metadata": {"name": "a"}, "spec": {"link": {"mtu": 3}}}"#, ["/spec/link/mtu"]),
        (#"{"metadata": {"name": "a"}, "spec": {"link": []}}"#, ["/spec/link"]),
        (#"{"metadata": {"name": "a"}, "spec": {"owner": "nobody-here"}}"#, ["/spec/owner"]),
        (#"{"metadata": {"name": "a"}, "spec": {"owner": -1}}"#, ["/spec/owner"]),
        (#"{"metadata": {"name": "a"}, "spec": {"offloads": ["tso4"]}}"#, ["/spec/offloads"]),
        (#"{"metadata": {"name": "a"}, "spec": {"offloads": "tso4"}}"#, ["/spec/offloads"]),
        (#"{"metadata": {"name": "a"}, "spec": {"kind": "veth"}}"#, ["/spec/kind"]),
        (
            #"{"metadata": {"name": "a"}, "spec": {"kind": "tun", "link": {"macAddress": "02:00:00:00:00:01"}}}"#,
            ["/spec/link/macAddress"]
        ),
        (
            #"{"metadata": {"name": "a", "labels": {"a b": "c", "d": "e f"}}}"#,
            ["/metadata/labels/a b", "/metadata/labels/d"]
        ),
        (#"{"metadata": {"name": "a"}, "spec": {"vnetHeaderSize": 9}}"#, ["/spec/vnetHeaderSize"]),
        (#"{"metadata": {"name": "a"}, "spec": {"a/b~c": 1}}"#, ["/spec/a~1b~0c"]),
    ])
    func mistakesHaveTheirPlace(text: String, pointers: [String]) {
        #expect(issues(text) == pointers)
    }

    @Test func allMistakesAreReportedAtOnce() {
        let text = #"""
            {"metadata": {"name": "", "color": 1}, "extra": 2,
             "spec": {"queues": 0, "kind": 1, "link": {"mtu": "big", "speed": 1}}}
            """#
        #expect(
            issues(text) == [
                "/extra", "/metadata/color", "/metadata/name", "/spec/kind", "/spec/link/mtu", "/spec/link/speed",
                "/spec/queues",
            ])
    }

    /// The fields of each object, in the order of reading.
    @Test func anUnknownFieldIsReportedWithTheKnownOnes() throws {
        let known = [
            "": "are metadata, spec, status",
            "/metadata": "are name, labels, resourceVersion, uid, generation, createdAt, updatedAt, "
                + "deletionRequestedAt",
            "/spec": "are kind, multiQueue, queues, access, packetInfo, vnetHeader, vnetHeaderSize, offloads, "
                + "sendBufferBytes, owner, group, napi, napiFrags, networkNamespace, link, adoption, driftPolicy",
            "/spec/link": "are up, mtu, mtuPolicy, macAddress, txQueueLength, queueDiscipline, controller, "
                + "controllerPolicy, alias, altNames, addresses, duplicateAddressDetection, ipv6, carrier, "
                + "gsoMaxBytes, gsoIPv4MaxBytes",
        ]
        let expected = known.map {
            FieldIssue(pointer: $0.key + "/x", detail: "is not a field of this object; known \($0.value)")
        }
        let text = #"{"metadata": {"name": "web0", "x": 1}, "spec": {"x": 1, "link": {"x": 1}}, "x": 1}"#
        let document = try JSONValue(parsing: Array(text.utf8))
        let error = #expect(throws: InvalidDocument.self) { try DeviceInput(document, accounts: OnlyRoot()) }
        #expect(error?.issues == InvalidDocument(expected).issues)
        // A merge patch gets the same error.
        #expect(InvalidDocument(DeviceInput.unknownFields(inPatch: document)).issues == error?.issues)
        let assignment = #"{"consumer": "vm", "assignedAt": "y", "x": 1}"#
        let unknown = "is not a field of this object; known are consumer, cpus"
        #expect(throws: InvalidDocument([FieldIssue(pointer: "/x", detail: unknown)])) {
            try AssignmentInput(try JSONValue(parsing: Array(assignment.utf8)))
        }
        #expect(throws: InvalidDocument([FieldIssue(pointer: "/x", detail: unknown + ", count")])) {
            try FreeQueuesInput(try JSONValue(parsing: Array(#"{"consumer": "vm", "x": 1}"#.utf8)))
        }
    }

    @Test func aDocumentMayBeSentBackAsRead() throws {
        let text = #"""
            {"metadata": {"name": "web0", "uid": "x", "generation": 3, "resourceVersion": "417", "createdAt": "y",
                          "updatedAt": "z", "deletionRequestedAt": null, "labels": {}},
             "spec": {}, "status": {"phase": "Ready"}}
            """#
        #expect(try read(text).resourceVersion == 417)
    }

    @Test func specsAreReadBack() throws {
        var draft = DeviceSpecDraft()
        draft.queues = .multiple(try QueueCount(7))
        draft.access = .open
        draft.owner = try Principal("alice")
        draft.group = try Principal(12)
        draft.offloads = [.checksum]
        draft.link.macAddress = try MACAddress("02:00:00:00:00:01")
        draft.link.queueDiscipline = .kernelDefault
        draft.link.up = false
        draft.link.ipv6 = .off
        draft.link.duplicateAddressDetection = false
        draft.link.gsoMaxBytes = try GSOMaxBytes(40_000)
        let spec = try DeviceSpec(draft)
        #expect(try DeviceSpec(stored: try JSONValue(parsing: spec.document.bytes)) == spec)
    }

    /// RFC 7396, appendix A.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, #"{}"#), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#),
        (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#), (#"{"a":"foo"}"#, #"null"#, #"null"#),
        (#"{"a":"foo"}"#, #""bar""#, #""bar""#), (#"{"e":null}"#, #"{"a":1}"#, #"{"a":1,"e":null}"#),
        (#"[1,2]"#, #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
        (#"{}"#, #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func mergePatch(original: String, patch: String, result: String) throws {
        let value = try JSONValue(parsing: Array(original.utf8)).merging(try JSONValue(parsing: Array(patch.utf8)))
        #expect(value.text == result)
    }

    @Test(arguments: [
        "", " ", "{", "[", "{'a':1}", "nul", "nulll", "{\"a\":}", "\u{0}", "[1 2]", "[1,]", "{\"a\":1,}", "01", "-",
        "1.", "1e",
        "+1", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"a\nb\"", "{\"a\":1,\"a\":2}",
        "1e999", "{} {}",
        "\u{FEFF}{}",
    ])
    func invalidJSONIsRefused(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: Array(text.utf8)) }
    }

    @Test(arguments: [33, 513, 100_000])
    func depthIsLimited(brackets: Int) {
        let text = String(repeating: "[", count: brackets) + String(repeating: "]", count: brackets)
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: Array(text.utf8)) }
    }

    @Test func everyStringIsReadBack() throws {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let scalars = (0..<20).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0..<0x3000, using: &random)) }
            let value = JSONValue.array([.string(String(String.UnicodeScalarView(scalars))), .number(0.5), .null])
            #expect(try JSONValue(parsing: value.bytes) == value)
        }
    }

    @Test func escapesAreRead() throws {
        let value = try JSONValue(parsing: Array(#" "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00" "#.utf8))
        #expect(value == "\"\\/\u{8}\u{C}\n\r\té😀")
    }

    @Test func errorsHaveTheirPlace() {
        let error = #expect(throws: JSONSyntaxError.self) {
            try JSONValue(parsing: Array("{\"a\":1\n    \"b\":2}".utf8))
        }
        #expect(error?.detail.contains("',' or '}' was expected at line 2, column 5") == true)
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    /// No bytes make the parser crash or loop; an access out of bounds would trap and end the test.
    @Test func anyBytesAreReadOrRefused() {
        var random = SeededGenerator(seed: 8_259)
        let alphabet = Array(#"{}[]",:0123456789.eE+-truefalsn\u \#n"#.utf8) + [0, 0xC3, 0xA9, 0xFF]
        for _ in 0..<50_000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &random)).compactMap { _ in
                alphabet.randomElement(using: &random)
            }
            if let value = try? JSONValue(parsing: bytes) {
                #expect((try? JSONValue(parsing: value.bytes)) == value)
            }
        }
    }

    @Test func aBooleanIsNotANumber() throws {
        let value = try JSONValue(parsing: Array("[true,1,0,false,1.5,-9223372036854775808]".utf8))
        #expect(value == [true, 1, 0, false, .number(1.5), .integer(.min)])
    }

    @Test(arguments: [("500ms", Duration.milliseconds(500)), ("5s", .seconds(5)), ("2m", .seconds(120))])
    func durations(text: String, duration: Duration) throws {
        #expect(try Duration(text: text) == duration)
    }

    @Test(arguments: ["", "5", "s", "-5s", "5 s", "1e3s", "99999999999999999999s", "9223372036854775807h", "٥s"])
    func invalidDurationsAreRefused(text: String) {
        #expect(throws: ValidationError.self) { try Duration(text: text) }
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400_123_000, "2000-02-29T00:00:00.123Z"),
        (1_767_225_600_000_000, "2026-01-01T00:00:00.000Z"),
    ])
    func timesAreRFC3339(microseconds: Int64, text: String) {
        #expect(Timestamp(microseconds: microseconds).text == text)
    }
}
