internal import TapEngine
internal import TapHTTP

/// `If-Match` and `If-None-Match` (RFC 9110, section 13.1).
struct Preconditions: Sendable {
    private enum Tags {
        case any
        case some([String])

        init(_ header: String) {
            let tags = header.split(separator: ",").map { $0.filter { $0 != " " } }
            self = tags == ["*"] ? .any : .some(tags)
        }

        func contain(_ tag: String?, weakly: Bool) -> Bool {
            guard let tag else { return false }
            switch self {
            case .any: return true
            case .some(let tags): return tags.contains(tag) || (weakly && tags.contains("W/" + tag))
            }
        }
    }

    private let ifMatch: Tags?
    private let ifNoneMatch: Tags?

    init(_ request: HTTPRequest) {
        ifMatch = request.head.list("if-match").map(Tags.init)
        ifNoneMatch = request.head.list("if-none-match").map(Tags.init)
    }

    /// Whether the client has the current version already: 304 is the answer.
    func isUnmodified(_ tag: String) -> Bool {
        ifNoneMatch?.contain(tag, weakly: true) == true
    }

    /// - Parameter tag: Entity tag of the current version; `nil` if the resource does not exist.
    /// - Throws: `Refusal.preconditionFailed`.
    func check(_ tag: String?) throws(Refusal) {
        if let ifMatch, !ifMatch.contain(tag, weakly: false) {
            throw .preconditionFailed(
                tag.map {
                    "If-Match does not list the current entity tag \($0), with its quotes; weak tags do not match; "
                        + "read the resource again"
                } ?? "If-Match is set, but the resource does not exist")
        }
        if let ifNoneMatch, ifNoneMatch.contain(tag, weakly: true) {
            throw .preconditionFailed("If-None-Match is set, but the resource exists with the entity tag \(tag ?? "*")")
        }
    }
}
