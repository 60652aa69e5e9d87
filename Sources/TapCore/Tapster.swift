/// Facts about this build.
public enum Tapster {
    public static let version = "0.1.0"
}
