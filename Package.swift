// swift-tools-version: 6.2
import PackageDescription

// Every target of ours is built alike: Swift 6, strict memory safety, no warning left standing.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// Tests call C and pick at bytes; they need no marks for it.
let testHouse: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// What must hold for all bytes: tests, which try a corpus; or for `make fuzz` a program, whose main function is
// libFuzzer's.
let isFuzzed = Context.environment["TAPSTER_FUZZ"] != nil
let read: [Target.Dependency] = [
    "TapCore", "TapDocument", "TapHTTP", "TapKernel", "TapEngine", "TapAPI",
    "TapSystem",
]
let properties: Target =
    isFuzzed
    ? .executableTarget(
        name: "tapster-fuzz", dependencies: read, path: "Tests/Fuzz", sources: ["Properties", "Runner"],
        swiftSettings: testHouse)
    : .testTarget(
        name: "FuzzTests", dependencies: read, path: "Tests/Fuzz",
        exclude: ["Corpus", "Dictionaries", "Runner", "Schemathesis"],
        sources: ["Properties", "CorpusTests.swift"], swiftSettings: testHouse)

let package = Package(
    name: "tapster",
    products: [
        .executable(name: "tapster", targets: ["tapster"]),
        // A library of its own, since tests load it into the daemon.
        .library(name: "Faults", type: .dynamic, targets: ["Faults"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        .executableTarget(
            name: "tapster",
            dependencies: [
                "TapAPI", "TapEngine", "TapKernel", "TapStore", "TapHTTP", "TapDocument", "TapCore", "TapSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: house),
        .target(
            name: "TapAPI",
            dependencies: [
                "TapEngine", "TapCore", "TapDocument", "TapStore", "TapHTTP", "TapSystem", "COpenAPI",
                .product(name: "HashTreeCollections", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: house),
        .target(
            name: "TapEngine",
            dependencies: [
                "TapCore", "TapDocument", "TapStore", "TapSystem",
                .product(name: "HashTreeCollections", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: house),
        .target(
            name: "TapStore",
            dependencies: [
                "TapCore", "TapDocument", "TapSystem", "Migrations", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: house),
        .target(name: "TapDocument", dependencies: ["TapCore"], swiftSettings: house),
        .target(name: "TapKernel", dependencies: ["TapCore", "TapSystem", "CLinux"], swiftSettings: house),
        .target(
            name: "TapHTTP", dependencies: ["TapSystem", "CMicroHTTPD", "CGnuTLS", "CErrorPage"], swiftSettings: house),
        .target(name: "TapCore", dependencies: ["TapSystem"], swiftSettings: house),
        .target(name: "TapSystem", dependencies: ["CLinux"], swiftSettings: house),
        .target(name: "CLinux"),
        .systemLibrary(
            name: "CMicroHTTPD", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
        .target(name: "CErrorPage", dependencies: ["CMicroHTTPD", "CGnuTLS"]),
        .systemLibrary(name: "CGnuTLS", pkgConfig: "gnutls", providers: [.apt(["libgnutls28-dev"])]),
        .target(
            name: "Migrations", path: "migrations", resources: [.embedInCode("sql")], swiftSettings: house),
        .target(name: "COpenAPI", path: "openapi", exclude: ["tapster.yaml"]),

        // What several test targets share: namespaces, a kernel in memory, a small HTTP client, the daemon as a
        // process.
        .target(
            name: "TestSupport", dependencies: ["TapCore", "TapSystem", "CLinux", "Steering", "Impersonation"],
            path: "Tests/TestSupport",
            swiftSettings: testHouse),
        .target(name: "Faults", path: "Tests/Faults"),
        .target(name: "Steering", path: "Tests/Steering"),
        .target(name: "Impersonation", path: "Tests/Impersonation"),
        .testTarget(name: "StructureTests", swiftSettings: testHouse),
        .testTarget(
            name: "TapSystemTests", dependencies: ["TapSystem", "CLinux", "TestSupport"], swiftSettings: testHouse),
        .testTarget(
            name: "TapCoreTests", dependencies: ["TapCore", "TapSystem", "TestSupport"], swiftSettings: testHouse),
        .testTarget(
            name: "TapDocumentTests", dependencies: ["TapDocument", "TapCore", "TestSupport"],
            swiftSettings: testHouse),
        .testTarget(
            name: "TapKernelTests", dependencies: ["TapKernel", "TapCore", "TapSystem", "CLinux", "TestSupport"],
            swiftSettings: testHouse),
        .testTarget(
            name: "TapStoreTests",
            dependencies: [
                "TapStore", "TapCore", "TapDocument", "Migrations", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: testHouse),
        .testTarget(
            name: "TapHTTPTests", dependencies: ["TapHTTP", "TapSystem", "TestSupport"], swiftSettings: testHouse),
        .testTarget(
            name: "TapEngineTests",
            dependencies: [
                "TapEngine", "TapStore", "TapCore", "TapDocument", "TapSystem", "TestSupport",
                .product(name: "HashTreeCollections", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: testHouse),
        .testTarget(
            name: "TapAPITests",
            dependencies: [
                "TapAPI", "TapEngine", "TapStore", "TapHTTP", "TapCore", "TapDocument", "TapSystem", "COpenAPI",
                "TestSupport",
                .product(name: "HashTreeCollections", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"), .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: testHouse),
        .testTarget(
            name: "TapsterTests",
            dependencies: [
                "tapster", "TapAPI", "TapEngine", "TapHTTP", "TapStore", "TapCore", "TapDocument", "TapSystem",
                "CLinux",
                "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: testHouse),
        properties,
    ]
)
