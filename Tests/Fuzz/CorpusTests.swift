import Foundation
import Testing

/// Checks all inputs of the corpus, without a fuzzer: those that the fuzzers kept, and those that revealed a fault.
@Suite struct CorpusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Corpus")
    /// Of all files together, so that the corpus stays small enough to review.
    private static let corpusBytesMax = 400 << 10

    private func inputs(_ target: FuzzTarget) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: Self.folder.appending(path: target.rawValue), includingPropertiesForKeys: nil)
    }

    @Test(arguments: FuzzTarget.allCases) func holds(target: FuzzTarget) throws {
        let inputs = try inputs(target)
        try #require(!inputs.isEmpty, "no inputs for '\(target.rawValue)'")
        for input in inputs {
            let bytes = [UInt8](try Data(contentsOf: input))
            do {
                try target.check(bytes)
            } catch {
                Issue.record("\(target.rawValue)/\(input.lastPathComponent): \(error)")
            }
        }
    }

    @Test func isSmall() throws {
        let bytes = try FuzzTarget.allCases.flatMap(inputs).reduce(0) { sum, input in
            sum + (try input.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0)
        }
        #expect(bytes <= Self.corpusBytesMax)
    }

    /// Generated inputs that revealed a fault, and are too large or too regular to be stored.
    @Test(.timeLimit(.minutes(1)), arguments: [FuzzTarget.device, .selector])
    func survivesBulk(target: FuzzTarget) throws {
        for bytes in Bulk.all { try target.check(bytes) }
    }
}

/// Bodies with many repetitions of one element. They are smaller than a client's may be, since tests are not optimised.
enum Bulk {
    private static let bytesMax = 128 << 10

    /// Combining marks in a non-canonical order: normalising them takes a time that grows with the square of their
    /// number.
    private static let marks = String(repeating: "\u{301}\u{323}", count: 100_000)

    static let all: [[UInt8]] = [
        "{\"\(marks)\":1}", "{\"spec\":{\"kind\":\"tap\(marks)\"}}", "{\"metadata\":{\"name\":\"web0\(marks)\"}}",
        "{\"spec\":{\"link\":{\"alias\":\"\(marks)\"}}}", "{\"spec\":{\"offloads\":[\"tso4\(marks)\"]}}",
        "{\"metadata\":{\"name\":\"web0\"},\"spec\":{\"link\":{\"controller\":\"web0\(marks)\"}}}",
        "[{},{\"\(marks)\":1}]", "{\"vm\(marks)\":\"(\"}", marks,
        fill("{", "}") { "\"k\($0)\":0" }, fill("{\"spec\":{\"offloads\":[", "]}}") { _ in "0" },
        fill("{\"metadata\":{\"labels\":{", "}}}") { "\"~\($0)\":0" }, fill("[", "]") { _ in "[]" },
        String(repeating: "[", count: bytesMax), String(repeating: "1", count: bytesMax),
    ].map { Array($0.utf8) }

    private static func fill(_ start: String, _ end: String, _ element: (Int) -> String) -> String {
        var text = start
        var number = 0
        while text.utf8.count < bytesMax - 64 {
            if number > 0 { text += "," }
            text += element(number)
            number += 1
        }
        return text + end
    }
}
