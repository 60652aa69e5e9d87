/// Facts about this build.
public enum Tapster {
    /// The release, as in `tapster --version` and the API.
    public static let version = "0.1.0"
}
