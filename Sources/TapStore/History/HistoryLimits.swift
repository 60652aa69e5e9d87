/// How much of the past the database keeps.
public enum HistoryLimits {
    /// Older events are deleted.
    public static let eventsMax = 10_000
    /// Events that have an author are kept longer.
    public static let authoredEventsMax = 100_000
    /// How long the answer to an idempotent request is kept.
    public static let answerSecondsMax = 86_400
    /// Of idempotent requests whose answers are kept.
    public static let answersMax = 100_000
    /// Changes of the wanted state that can be read and rolled back.
    public static let changesMax = 1_000
    /// Devices that these changes have changed, in all.
    public static let changedDevicesMax = 100_000
}
