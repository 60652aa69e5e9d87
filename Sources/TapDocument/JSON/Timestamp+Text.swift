public import TapCore

/// Times in documents (RFC 3339).
extension Timestamp {
    /// The time in UTC with milliseconds (RFC 3339); the rest of the microseconds is truncated.
    ///
    /// In integers: a `Date` of 0.123 s is a little less, and would be truncated to 122 ms.
    public var text: String {
        let (seconds, fraction) = microseconds.flooredQuotient(by: 1_000_000)
        let (days, secondOfDay) = seconds.flooredQuotient(by: 86_400)
        let date = CalendarDate(daysSince1970: days)
        var text = Array("0000-00-00T00:00:00.000Z".utf8)
        func write(_ number: Int64, from first: Int, to last: Int) {
            var rest = number
            for place in (first...last).reversed() {
                text[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
        }
        write(date.year, from: 0, to: 3)
        write(date.month, from: 5, to: 6)
        write(date.day, from: 8, to: 9)
        write(secondOfDay / 3_600, from: 11, to: 12)
        write(secondOfDay / 60 % 60, from: 14, to: 15)
        write(secondOfDay % 60, from: 17, to: 18)
        write(fraction / 1_000, from: 20, to: 22)
        return String(decoding: text, as: UTF8.self)
    }

    /// Parses a time of RFC 3339, with an offset from UTC. A fraction is optional and truncated to microseconds.
    ///
    /// - Throws: `ValidationError` if `text` is not such a time, or is a leap second (`:60`).
    public init(text: String) throws(ValidationError) {
        guard let timestamp = Self.parse(Array(text.utf8.prefix(Self.textBytesMax + 1))) else {
            throw ValidationError("'\(text.shortened)' is not a time such as 2026-01-31T12:00:00Z")
        }
        self = timestamp
    }

    private static let textBytesMax = 64

    private static func parse(_ text: [UInt8]) -> Timestamp? {
        // The shortest form is 2026-01-31T12:00:00Z.
        guard (20...textBytesMax).contains(text.count), text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            text[10] == UInt8(ascii: "T"), text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            let year = number(text[0..<4]), let month = number(text[5..<7]), let day = number(text[8..<10]),
            let date = CalendarDate(year: year, month: month, day: day),
            let hour = number(text[11..<13], atMost: 23), let minute = number(text[14..<16], atMost: 59),
            let second = number(text[17..<19], atMost: 59)
        else { return nil }
        var rest = text[19...]
        var microseconds: Int64 = 0
        if rest.first == UInt8(ascii: ".") {
            let digits = rest.dropFirst().prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            guard !digits.isEmpty else { return nil }
            let six = digits.prefix(6) + [UInt8](repeating: UInt8(ascii: "0"), count: max(0, 6 - digits.count))
            microseconds = number(six) ?? 0
            rest = rest[digits.endIndex...]
        }
        guard let offset = offset(rest) else { return nil }
        let seconds = ((date.daysSince1970 * 24 + hour) * 60 + minute - offset) * 60 + second
        return Timestamp(microseconds: seconds * 1_000_000 + microseconds)
    }

    /// The offset from UTC, in minutes.
    private static func offset(_ text: ArraySlice<UInt8>) -> Int64? {
        let text = Array(text)
        switch text.first {
        case UInt8(ascii: "Z") where text.count == 1: return 0
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard text.count == 6, text[3] == UInt8(ascii: ":"), let hours = number(text[1..<3], atMost: 23),
                let minutes = number(text[4..<6], atMost: 59)
            else { return nil }
            return (hours * 60 + minutes) * (text[0] == UInt8(ascii: "-") ? -1 : 1)
        default: return nil
        }
    }

    /// A number of at most six decimal digits.
    private static func number(_ digits: ArraySlice<UInt8>, atMost max: Int64 = 999_999) -> Int64? {
        var number: Int64 = 0
        for digit in digits {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit else { return nil }
            number = number * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        return number <= max ? number : nil
    }
}

/// A day of the proleptic Gregorian calendar. Calculations use years that begin in March, so that the leap day is the
/// last day of a year, and count days from 1 March of the year 0; 400 years have 146,097 days.
private struct CalendarDate: Equatable {
    private static let daysBefore1970: Int64 = 719_468
    private static let daysOf400Years: Int64 = 146_097

    /// 0 to 9999, the years of RFC 3339; other years are clamped.
    let year: Int64
    /// From 1, like `day`.
    let month: Int64
    let day: Int64
    let daysSince1970: Int64

    init(daysSince1970: Int64) {
        self.daysSince1970 = daysSince1970
        let (era, dayOfEra) = (daysSince1970 + Self.daysBefore1970).flooredQuotient(by: Self.daysOf400Years)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // From March on, each five consecutive months have 153 days.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = min(max(era * 400 + yearOfEra + (month <= 2 ? 1 : 0), 0), 9_999)
    }

    /// - Returns: `nil` if the day does not exist.
    init?(year: Int64, month: Int64, day: Int64) {
        guard (1...12).contains(month) else { return nil }
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).flooredQuotient(by: 400)
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        self.init(daysSince1970: era * Self.daysOf400Years + dayOfEra - Self.daysBefore1970)
        // 31 April would become 1 May.
        guard self.year == year, self.month == month, self.day == day else { return nil }
    }
}

extension Int64 {
    /// The quotient rounded down, and the remainder, which is never negative.
    fileprivate func flooredQuotient(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
