internal import Glibc
internal import Logging
internal import TapCore
internal import TapKernel
internal import TapAPI

/// The action of SIGHUP: reads the configuration and the tokens again, and applies the settings that need no restart.
struct Reloading {
    let options: ConfigurationOptions
    let service: Service
    let threshold: LogThreshold
    let log: Logger
    /// The configuration at start. Changes against it that need a restart are logged at each reload.
    let started: Configuration

    /// A configuration that cannot be read or has a mistake changes no setting.
    func reload() {
        do throws(InvalidConfiguration) {
            let configuration = try options.read()
            let (policy, unknownPrincipals) = try configuration.policy(
                accounts: SystemAccounts(), owners: [0, geteuid()], listen: started.listen)
            service.replaceAccess(policy)
            threshold.level = configuration.logLevel
            for issue in unknownPrincipals {
                log.warning("a rule names an unknown user or group", metadata: ["rule": "\(issue)"])
            }
            log.notice("configuration reloaded", metadata: ["tokens": "\(policy.tokensCount)"])
            let waiting = started.needingRestart(for: configuration).map(\.key)
            if !waiting.isEmpty {
                log.warning(
                    "changed settings need a restart",
                    metadata: ["settings": "\(waiting.joined(separator: ", "))"])
            }
        } catch {
            for issue in error.issues {
                log.error("configuration not reloaded", metadata: ["mistake": "\(issue)"])
            }
        }
    }
}
