enum TokensFile {
    static let defaultPath = "/etc/tapster/tokens.yaml"
}
