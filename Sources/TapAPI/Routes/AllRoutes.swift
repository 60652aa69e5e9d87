internal import TapEngine

/// Every route of the API.
struct AllRoutes: Sendable {
    let engine: Engine
    let authenticator: Authenticator
    let watchers: Watchers
    let scrapes: Scrapes
    let metrics: Metrics

    var api: [Route] {
        let writes = DeviceWrites(engine: engine)
        return DeviceRoutes(engine: engine, writes: writes).routes
            + QueueRoutes(engine: engine, writes: writes).routes
            + LeaseRoutes(engine: engine).routes
            + ApplyRoutes(engine: engine, writes: writes).routes
            + RevisionRoutes(engine: engine, writes: writes).routes
            + BackupRoutes(engine: engine, writes: writes).routes
            + KernelRoutes(engine: engine, writes: writes).routes
            + WatchRoutes(engine: engine, watchers: watchers, authenticator: authenticator, metrics: metrics).routes
            + operatorRoutes.routes
    }

    /// Health and metrics only, for listeners without authentication.
    var health: [Route] { operatorRoutes.healthRoutes(metrics: .open) }

    private var operatorRoutes: OperatorRoutes { OperatorRoutes(engine: engine, scrapes: scrapes) }
}
