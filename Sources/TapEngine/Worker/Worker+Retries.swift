internal import TapCore

/// When devices are decided on again without a notification.
extension Worker {
    func dueRetries(_ now: ContinuousClock.Instant) -> [DeviceName] {
        retries.filter { $0.value.due <= now }.map(\.key)
    }

    /// Schedules the next decision on the device, in case no notification causes one.
    func schedule(_ job: DeviceJob) {
        let name = job.name
        if !waitingForNamespace.isEmpty { waitingForNamespace.remove(name) }
        switch job.outcome {
        case .failed: retryLater(name)
        case .namespaceUnavailable(.unusable(let error)):
            metrics.countRefusal(error)
            retryLater(name)
        case .blocked:
            // Besides the obstacle, there may be a contested field, whose repair becomes possible later.
            if let due = budgets[name]?.due(at: .now) {
                retries[name] = Retry(due: due)
            } else if !retries.isEmpty {
                retries[name] = nil
            }
        case .namespaceUnavailable(.missing):
            waitingForNamespace.insert(name)
            retries[name] = nil
        case .closed:
            retries[name] = nil
            budgets[name] = nil
        case .open, .settled: if !retries.isEmpty { retries[name] = nil }
        }
        if let due = duplicates.note(job) { retries[name] = Retry(due: due) }
    }

    func retryLater(_ name: DeviceName) {
        var retry = retries[name] ?? Retry(due: .now)
        var generator = SystemRandomNumberGenerator()
        retry.due = .now + retry.backoff.next(using: &generator)
        retries[name] = retry
    }
}
