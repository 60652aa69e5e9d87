import TapCore
import TapDocument
import Testing

/// Label selectors in the syntax of Kubernetes.
@Suite struct LabelSelectorTests {
    private static func labels(_ text: String) throws -> Labels {
        try Labels(stored: try JSONValue(parsing: Array(text.utf8)))
    }

    private static let devices = [
        "none": "{}", "web": #"{"vm": "web", "tier": "prod"}"#, "test": #"{"vm": "web", "tier": "test"}"#,
        "db": #"{"vm": "db", "example.com/rack": ""}"#,
    ]

    @Test(arguments: [
        ("vm=web", ["test", "web"]), ("vm==web", ["test", "web"]), (" vm = web ", ["test", "web"]),
        ("vm!=web", ["db", "none"]), ("tier!=test", ["db", "none", "web"]), ("vm=web,tier!=test", ["web"]),
        ("vm in (web,db)", ["db", "test", "web"]), ("vm in (web)", ["test", "web"]),
        ("tier notin (test)", ["db", "none", "web"]), ("vm notin ( web , db )", ["none"]),
        ("vm", ["db", "test", "web"]),
        ("!vm", ["none"]), ("! tier", ["db", "none"]), ("example.com/rack", ["db"]), ("example.com/rack=", ["db"]),
        ("vm in (web,db),tier", ["test", "web"]), ("vm,!tier", ["db"]), ("vm=web,vm=db", []), ("vm=WEB", []),
        ("", ["db", "none", "test", "web"]),
    ])
    func selects(text: String, names: [String]) throws {
        let selector = try LabelSelector(text)
        let selected = try Self.devices.filter { selector.matches(try Self.labels($0.value)) }
        #expect(selected.keys.sorted() == names)
    }

    @Test(arguments: [
        ",", "vm=web,", ",vm=web", "vm=web=db", "=web", "!", "!=web", "vm in", "vm in ()x", "vm in (web",
        "vm in web)",
        "vm in ((web))", "vm within (web)", "in (web)", "vm notin", "vm web", "vm=a b", "vm=a/b", "a b=c", "-vm",
        "vm=-",
        "a/b/c", "/vm", "é=1",
    ])
    func isRefused(text: String) {
        #expect(throws: ValidationError.self) { try LabelSelector(text) }
    }

    @Test func isBounded() throws {
        let most = Array(repeating: "vm", count: 64).joined(separator: ",")
        #expect(try LabelSelector(most).matches(try Self.labels(#"{"vm": ""}"#)))
        #expect(throws: ValidationError.self) { try LabelSelector(most + ",vm") }
        let long = "vm in (" + Array(repeating: "abcdefg", count: 512).joined(separator: ",") + ")"
        #expect(throws: ValidationError.self) { try LabelSelector(long) }
    }
}
