import Foundation
import TapCore
import TapDocument
import Testing
import Yams

@testable import TapAPI

/// The pattern for selectors in the OpenAPI document, by which clients and gateways validate.
@Suite struct SelectorPatternTests {
    private static let pattern: NSRegularExpression = {
        do {
            let document = try Yams.load(yaml: String(decoding: OpenAPIDocument.yaml, as: UTF8.self)) as? [String: Any]
            let components = document?["components"] as? [String: Any]
            let schemas = components?["schemas"] as? [String: Any]
            let selector = schemas?["LabelSelector"] as? [String: Any]
            return try NSRegularExpression(pattern: selector?["pattern"] as? String ?? "(?!)")
        } catch {
            preconditionFailure("the document cannot be read: \(error)")
        }
    }()

    private static func takes(_ text: String) -> Bool {
        pattern.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
    }

    /// Guards against exponential backtracking: if each space matched in two ways, 60 of them would match in 2⁶⁰ ways.
    static let hostile = [
        String(repeating: "a= ,", count: 60) + "?", String(repeating: " a  in (  b  ,  c  ) , ", count: 63) + "!",
        String(repeating: "a", count: 4_096), String(repeating: "a,", count: 2_000),
        String(repeating: String(repeating: "a", count: 200) + "/b , ", count: 15) + "?",
    ]

    @Test(arguments: hostile)
    func comesToAnEnd(text: String) {
        #expect(!Self.takes(text))
        #expect(throws: ValidationError.self) { try LabelSelector(text) }
    }

    @Test func matchesWhatTheParserAccepts() {
        var random = SystemRandomNumberGenerator()
        let parts = ["a", "b", "in", "notin", " ", " ", ",", "(", ")", "=", "!", "/", "-", " in (", ") ", "!=", "=="]
        var taken = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in parts.randomElement() ?? "" }.joined()
            let isSelector = (try? LabelSelector(text)) != nil
            #expect(Self.takes(text) == isSelector, "'\(text)'")
            if isSelector { taken += 1 }
        }
        #expect(taken > 100)
    }
}
