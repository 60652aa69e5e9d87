internal import COpenAPI

/// The contract with users: `openapi/tapster.yaml`, embedded in the binary.
enum OpenAPIDocument {
    /// OpenAPI 3.1 in YAML.
    // SAFETY: the array is constant and has that many bytes.
    static let yaml = unsafe [UInt8](UnsafeBufferPointer(start: openapi_yaml, count: openapi_yaml_bytes))
}
