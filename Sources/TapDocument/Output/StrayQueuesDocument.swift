public import TapCore

extension StrayQueues: AnswerDocument {
    public var document: JSONValue {
        [
            "attached": .integer(attached), "detached": .integer(detached),
            "holders": holders.map { .array($0.map(\.document)) } ?? .null,
        ]
    }

    public init(json: JSONValue, at pointer: String) throws(InvalidDocument) {
        let reader = try MemberReader(json, at: pointer)
        self.init(
            attached: try reader.value("attached"), detached: try reader.value("detached"),
            holders: try reader.optional("holders"))
    }
}
