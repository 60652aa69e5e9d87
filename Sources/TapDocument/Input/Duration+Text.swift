public import TapCore

extension Duration {
    /// Parses a duration such as `500ms`, `5s`, `2m` or `1h`: a whole number and one of these units.
    ///
    /// - Throws: `ValidationError` if `text` is not such a duration.
    public init(text: String) throws(ValidationError) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units: [Substring: Int] = ["ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000]
        guard let count = Int(digits), let unit = units[text.dropFirst(digits.count)],
            case let (milliseconds, overflow) = count.multipliedReportingOverflow(by: unit), !overflow
        else {
            throw ValidationError("'\(text.shortened)' is not a duration such as 500ms, 5s or 2m")
        }
        self = .milliseconds(milliseconds)
    }
}
