import TapCore
import Testing

@Suite struct QueueValueTests {
    @Test(arguments: ["vm-42", "a", "0", "DPDK_0.north", String(repeating: "x", count: 63)])
    func validConsumerNames(text: String) throws {
        #expect(try ConsumerName(text).text == text)
    }

    @Test(arguments: [
        "", "-vm", "_vm", ".vm", "vm 42", "vm/42", "vm:42", "vm\u{0}", "é", "vm&a", String(repeating: "x", count: 64),
    ])
    func invalidConsumerNames(text: String) {
        #expect(throws: ValidationError.self) { try ConsumerName(text) }
    }

    @Test func theErrorSaysWhatToDo() {
        #expect(throws: ValidationError("the consumer name has 64 bytes; at most 63 are allowed")) {
            try ConsumerName(String(repeating: "x", count: 64))
        }
    }

    @Test func consumersAreSortedByTheirBytes() throws {
        #expect(
            try ["b", "B", "a.1", "a-1"].map { try ConsumerName($0) }.sorted().map(\.text) == ["B", "a-1", "a.1", "b"])
    }

    @Test(arguments: [(-1, false), (0, true), (8_191, true), (8_192, false)])
    func cpus(number: Int, exists: Bool) {
        #expect(((try? CPUNumber(number)) != nil) == exists)
    }

    @Test func cpusAreSortedAndUnique() throws {
        let cpus = try [3, 1, 3, 2].map { try CPUNumber($0) }
        let assignment = Assignment(
            consumer: try ConsumerName("vm"), cpus: cpus, assignedAt: Timestamp(microseconds: 1))
        #expect(assignment.cpus == [1, 2, 3])
    }

    @Test func onlyQueuesOfTheMultiqueueABICanBeDisabled() throws {
        let four = QueueLayout.multiple(try QueueCount(4))
        #expect([-1, 0, 3, 4].map(four.canDisable) == [false, true, true, false])
        #expect(!QueueLayout.single.canDisable(0))
    }
}
