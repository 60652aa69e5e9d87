internal import TapEngine

/// Every route of the API.
struct AllRoutes {
    let api: [Route]
    /// Health and metrics only, for listeners without authentication.
    let health: [Route]

    init(engine: Engine, authenticator: Authenticator, watchers: Watchers, scrapes: Scrapes, metrics: Metrics) {
        let writes = DeviceWrites(engine: engine)
        let operatorRoutes = OperatorRoutes(engine: engine, scrapes: scrapes)
        api =
            DeviceRoutes(engine: engine, writes: writes).routes
            + QueueRoutes(engine: engine, writes: writes).routes
            + LeaseRoutes(engine: engine).routes
            + ApplyRoutes(engine: engine, writes: writes).routes
            + RevisionRoutes(engine: engine, writes: writes).routes
            + BackupRoutes(engine: engine, writes: writes).routes
            + KernelRoutes(engine: engine, writes: writes).routes
            + WatchRoutes(engine: engine, watchers: watchers, authenticator: authenticator, metrics: metrics).routes
            + operatorRoutes.routes
        health = operatorRoutes.healthRoutes(metrics: .open)
    }
}
