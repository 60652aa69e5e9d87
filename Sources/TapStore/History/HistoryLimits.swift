/// How much history the database keeps.
public enum HistoryLimits {
    /// Events without an author are deleted when this many newer events exist.
    public static let eventsMax = 10_000
    /// The same for events with an author.
    public static let authoredEventsMax = 100_000
    /// How long the answer to an idempotent request is kept.
    public static let answerSecondsMax = 86_400
    /// How many answers to idempotent requests are kept.
    public static let answersMax = 100_000
    /// Changes of the wanted state that can be read, and to which it can be rolled back.
    public static let changesMax = 1_000
    /// The sum of `devicesCount` over these changes.
    public static let changedDevicesMax = 100_000
}
