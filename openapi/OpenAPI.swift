/// The contract with our users, embedded in the binary that keeps it.
public enum OpenAPIDocument {
    /// OpenAPI 3.1 in YAML.
    public static let yaml = PackageResources.tapster_yaml
}
