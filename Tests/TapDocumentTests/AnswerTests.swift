import TapCore
import TapDocument
import TestSupport
import Testing

/// Every document of the daemon is read back, also that of a newer daemon, and no input crashes a reader.
@Suite struct AnswerTests {
    private static func text(_ document: some AnswerDocument) -> String {
        String(decoding: document.bytes, as: UTF8.self)
    }

    private static func read<Document: AnswerDocument>(_ json: JSONValue, as _: Document) throws -> Document {
        try Document(bytes: json.bytes)
    }

    @Test func documentsAreReadBack() throws {
        for sample in try AnswerSamples.all() {
            func check(_ sample: some AnswerDocument) throws {
                let again = try type(of: sample).init(bytes: sample.bytes)
                #expect(again == sample, "\(Self.text(sample))")
                #expect(again.bytes == sample.bytes)
                #expect(try JSONValue(parsing: sample.bytes) == sample.document)
            }
            try check(sample)
        }
    }

    /// The bytes of answers are part of the API: the order of members, and escapes.
    @Test func bytesAreAsPublished() throws {
        let time = "2026-01-01T00:00:00.123Z"
        let assignment = #""assignedAt":"\#(time)","consumer":"vm-42","cpus":[2,7]"#
        #expect(
            Self.text(try AnswerSamples.queue())
                == #"{"assignment":{\#(assignment)},"attached":true,"enabled":true,"index":3,"kernelIndex":1,"#
                + #""lease":"0123456789abcdef","statistics":null}"#)
        #expect(Self.text(try AnswerSamples.assignedQueue()) == #"{\#(assignment),"device":"web0","queue":3}"#)
        #expect(
            Self.text(try AnswerSamples.lease())
                == #"{"command":"qemu","consumer":"vm-42","device":"web0","gid":12,"id":"0123456789abcdef","pid":17,"#
                + #""queues":[0,3],"since":"\#(time)","uid":1000,"userName":"alice"}"#)
        #expect(
            Self.text(try AnswerSamples.leaseMessage())
                == #"{"device":"web0","ifindex":12,"last":false,"lease":"0123456789abcdef","networkNamespace":"blue","#
                + #""queues":[0,3],"vnetHeaderSize":12}"#)
        #expect(
            Self.text(AnswerSamples.problem)
                == #"{"type":"urn:tapster:problem:INVALID_DOCUMENT","title":"t","status":422,"detail":"d","#
                + #""instance":"/v1/devices","code":"INVALID_DOCUMENT","requestId":"r-1","#
                + #""errors":[{"pointer":"/spec/a~1b","detail":"e"}]}"#)
        #expect(
            Self.text(WatchEvent.bookmark(revision: 417))
                == #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"417"}}}"#)
        #expect(
            Self.text(DeviceList(items: [], metadata: AnswerSamples.nextPage))
                == #"{"items":[],"metadata":{"continue":"417.web0","resourceVersion":"417"}}"#)
        #expect(
            Self.text(try AnswerSamples.apply())
                == #"{"changes":[{"change":"created","name":"web0"}],"confirmBy":"2026-01-01T00:00:00.456Z","#
                + #""plan":null,"revision":"418","unreached":["web0"]}"#)
        #expect(
            Self.text(try AnswerSamples.event())
                == #"{"actor":"uid:0","device":"web0","field":"link.mtu","id":5,"lease":null,"message":"m","#
                + #""observed":9000,"#
                + #""reason":"DriftRepaired","requestId":"r-1","revision":"417","source":"pid 17","time":"\#(time)","#
                + #""type":"Warning","wanted":1500}"#)
    }

    @Test func aDevicesBytesAreAsPublished() throws {
        let device = try AnswerSamples.device()
        let time = "2026-01-01T00:00:00"
        let drift = [
            ("link.mtu", "null", "1500"), ("link.up", "false", "true"), ("link.alias", "null", #""a""#),
            ("link.altNames", "[]", #"["b","c"]"#),
        ].map { #"{"field":"\#($0)","observed":\#($1),"since":"\#(time).456Z","wanted":\#($2)}"# }
        #expect(
            Self.text(device)
                == #"{"metadata":{"name":"web0","uid":"01234567-89ab-4def-8123-456789abcdef","labels":{"vm":"web"},"#
                + #""generation":3,"resourceVersion":"417","createdAt":"\#(time).123Z","updatedAt":"\#(time).456Z","#
                + #""deletionRequestedAt":"\#(time).456Z"},"spec":"# + (try AnswerSamples.spec().text)
                + #","status":{"observedGeneration":2,"phase":"Deleting","ifindex":12,"#
                + #""macAddress":"02:00:00:00:00:01","mtu":1500,"operationalState":"lowerLayerDown","carrier":false,"#
                + #""attachedQueues":3,"detachedQueues":1,"#
                + #""strayQueues":{"attached":1,"detached":2,"holders":"#
                + #"[{"command":null,"descriptors":3,"pid":17,"uid":null}]},"#
                + #""vnetHeaderSize":12,"offloads":["checksum","tso4","tso6"],"#
                + #""drift":[\#(drift.joined(separator: ","))],"#
                + #""lastError":"set_link: EBUSY","conditions":[{"type":"Ready","status":"False","#
                + #""reason":"DriftReported","message":"é / \\ \u0001","lastTransitionTime":"\#(time).123Z"},"#
                + #"{"type":"Leased","status":"True","reason":"Leased","message":"queues 0","#
                + #""lastTransitionTime":"\#(time).456Z"}]}}"#)
    }

    /// Objects whose members are data, not fields.
    private static let maps: Set<String> = ["labels", "arguments", "wanted", "observed"]

    private static func extended(_ json: JSONValue) -> JSONValue {
        switch json {
        case .array(let elements): return .array(elements.map(extended))
        case .object(let members):
            var extended: [String: JSONValue] = ["aFieldOfTheFuture": ["a": [1, .null]]]
            for (key, value) in members { extended[key] = maps.contains(key) ? value : Self.extended(value) }
            return .object(extended)
        default: return json
        }
    }

    @Test func fieldsOfANewerDaemonAreIgnored() throws {
        for sample in try AnswerSamples.all() {
            if case .unknown? = sample as? WatchEvent { continue }
            func check(_ sample: some AnswerDocument) throws {
                #expect(try Self.read(Self.extended(sample.document), as: sample) == sample)
            }
            try check(sample)
        }
    }

    @Test func unknownValuesOfANewerDaemonAreKept() throws {
        let words: JSONValue = [
            "spec": ["kind": "veth", "steering": ["policy": "hash"]],
            "status": ["phase": "Paused", "operationalState": "asleep"],
        ]
        let json = try AnswerSamples.device().document.merging(words)
        let device = try DeviceDocument(bytes: json.bytes)
        #expect(device.status.phase.rawValue == "Paused")
        #expect(device.status.phase.known == nil)
        #expect(device.status.operationalState == "asleep")
        #expect(device.spec.known == nil)
        guard case .unknown(let spec, let error) = device.spec else { return }
        #expect(error.issues.map(\.pointer) == ["/spec/kind"])
        #expect(spec == json["spec"])
        #expect(try JSONValue(parsing: device.bytes) == json)
        #expect(try DeviceDocument(bytes: device.bytes) == device)
        let event = try AnswerSamples.event().document.merging(["type": "Fatal", "reason": "Melted"])
        #expect(try EventRecord(bytes: event.bytes).severity.rawValue == "Fatal")
        #expect(try EventRecord(bytes: event.bytes).reason == "Melted")
    }

    /// A problem of a proxy or another server (RFC 9457) needs only the members for people.
    @Test func aProblemNeedsFewMembers() throws {
        let problem = #"{"status":502,"code":"X","title":"t","detail":"d"}"#
        #expect(try ProblemDocument(bytes: Array(problem.utf8)).detail == "d")
    }

    // MARK: Hostile documents

    private static let others: [JSONValue] = [
        .null, true, -1, .integer(.max), .integer(.min), .number(1.5), "", "\u{0}", "2026-13-45T99:99:99Z",
        .string(String(repeating: "9", count: 1_000)), [.null], [:], ["type": [], "metadata": 1],
    ]
    private static let mutatedBytesMax = 1_800

    /// Copies of the value, each with one place replaced; `nil` removes a member.
    private static func mutations(
        _ json: JSONValue, at pointer: String = "", by other: JSONValue?
    ) -> [(pointer: String, json: JSONValue)] {
        var all = other.map { [(pointer, $0)] } ?? []
        switch json {
        case .array(let elements):
            for (place, element) in elements.enumerated() {
                for (pointer, mutated) in mutations(element, at: "\(pointer)/\(place)", by: other) {
                    var elements = elements
                    elements[place] = mutated
                    all.append((pointer, .array(elements)))
                }
            }
        case .object(let members):
            for (key, value) in members {
                if other == nil {
                    all.append(("\(pointer)/\(key)", .object(members.filter { $0.key != key })))
                }
                for (pointer, mutated) in mutations(value, at: "\(pointer)/\(key)", by: other) {
                    var members = members
                    members[key] = mutated
                    all.append((pointer, .object(members)))
                }
            }
        default: break
        }
        return all
    }

    /// A value that is read is written equally; an error names the place, or one above or below it.
    @Test func aReplacedValueIsReadOrRefusedAtItsPlace() throws {
        var refused = 0
        // Longer samples contain the same objects.
        for sample in try AnswerSamples.all() where sample.bytes.count <= Self.mutatedBytesMax {
            func check(_ sample: some AnswerDocument) throws {
                for (place, json) in ([nil] + Self.others).flatMap({ Self.mutations(sample.document, by: $0) }) {
                    do {
                        let value = try type(of: sample).init(json: json, at: "")
                        // Cheaper than `#expect` for each of some thousands.
                        if try type(of: sample).init(json: value.document, at: "") != value {
                            Issue.record("\(json.text) is read as \(value)")
                        }
                    } catch {
                        refused += 1
                        let pointers = error.issues.map(\.pointer)
                        let isNamed = pointers.contains { place.hasPrefix($0) || $0.hasPrefix(place) }
                        if !isNamed { Issue.record("\(place): \(error.issues)") }
                    }
                }
            }
            try check(sample)
        }
        #expect(refused > 1_000)
    }

    @Test(arguments: ["", "{", "nul", "[]", "1", "\"x\"", "{}", "{\"type\":1,\"type\":2}"])
    func textsThatAreNotDocumentsAreRefused(text: String) throws {
        for sample in try AnswerSamples.all() {
            func check(_ sample: some AnswerDocument) throws {
                #expect(throws: InvalidDocument.self) { try type(of: sample).init(bytes: Array(text.utf8)) }
            }
            try check(sample)
        }
    }

    @Test func aMistakeIsReportedWithItsPlace() throws {
        let list = #"{"items":[{"index":0,"enabled":true,"attached":true},{"index":"1"}]}"#
        let issue = FieldIssue(pointer: "/items/1/index", detail: "must be a whole number, found a string")
        #expect(throws: InvalidDocument([issue])) { try ItemList<QueueDocument>(bytes: Array(list.utf8)) }
        let message = #"{"lease":"0123456789abcdef","device":"web0","ifindex":4294967296,"queues":[],"last":true}"#
        #expect(throws: InvalidDocument.self) { try LeaseMessage(bytes: Array(message.utf8)) }
        let version = FieldIssue(pointer: "/version", detail: "is missing")
        #expect(throws: InvalidDocument([version])) { try VersionDocument(bytes: Array(#"{"name":"x"}"#.utf8)) }
    }

    @Test func timesAreReadAsTheyAreWritten() throws {
        var random = SeededGenerator(seed: 3_339)
        // The years 0 to 9999.
        for _ in 0..<3_000 {
            let milliseconds = Int64.random(in: -62_167_219_200_000..<253_402_300_800_000, using: &random)
            let moment = Timestamp(microseconds: milliseconds * 1_000)
            #expect(try Timestamp(text: moment.text) == moment, "\(moment.text)")
        }
        for (text, microseconds) in [
            ("2026-01-01T00:00:00Z", 1_767_225_600_000_000), ("2026-01-01T01:30:00+01:30", 1_767_225_600_000_000),
            ("2025-12-31T23:00:00.5-01:00", 1_767_225_600_500_000),
            ("2026-01-01T00:00:00.123456789Z", 1_767_225_600_123_456), ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000), ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
        ] {
            #expect(try Timestamp(text: text).microseconds == microseconds, "\(text)")
        }
        for text in [
            "", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00Zx",
            "999999999999-01-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z",
        ] {
            #expect(throws: ValidationError.self) { try Timestamp(text: text) }
        }
    }
}
