internal import Glibc
internal import Logging
internal import TapCore
internal import TapKernel
internal import TapAPI

/// What SIGHUP does: the configuration and the tokens are read again, and what can change at once does.
struct Reloading {
    let options: ConfigurationOptions
    let service: Service
    let threshold: LogThreshold
    let log: Logger
    /// As the daemon was started; what needs a restart is told until there was one.
    let started: Configuration

    /// One that cannot be read, or is wrong anywhere, changes nothing.
    func reload() {
        do throws(InvalidConfiguration) {
            let configuration = try options.read()
            let (policy, idle) = try configuration.policy(
                accounts: SystemAccounts(), owners: [0, geteuid()], listen: started.listen)
            service.replaceAccess(policy)
            threshold.level = configuration.logLevel
            for issue in idle { log.warning("a rule is for nobody", metadata: ["rule": "\(issue)"]) }
            log.notice("the configuration was read again", metadata: ["tokens": "\(policy.tokensCount)"])
            let waiting = started.needingRestart(for: configuration).map(\.key)
            if !waiting.isEmpty {
                log.warning(
                    "settings have changed that need a restart",
                    metadata: ["settings": "\(waiting.joined(separator: ", "))"])
            }
        } catch {
            for issue in error.issues {
                log.error("the configuration stays as it was", metadata: ["mistake": "\(issue)"])
            }
        }
    }
}
