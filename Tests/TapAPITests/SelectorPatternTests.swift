import Foundation
import OpenAPI
import TapCore
import TapDocument
import Testing
import Yams

/// The document's pattern for selectors, which clients and gateways check by.
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

    /// Each space could once be matched in two ways, and so a text of 60 such places in 2⁶⁰.
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

    @Test func takesWhatTheParserTakes() {
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
