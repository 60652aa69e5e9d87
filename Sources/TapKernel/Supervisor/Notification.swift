/// The assignments in a message to the service manager (sd_notify(3)) that the supervisor acts on.
enum Notification: Hashable {
    case ready
    case store(name: String?)
    case remove(name: String)

    /// systemd's limit (`NOTIFY_BUFFER_MAX`).
    static let bytesMax = 4_096

    /// Each line is an assignment; unknown ones are ignored.
    static func parse(_ bytes: [UInt8]) -> [Notification] {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        let name = lines.first { $0.hasPrefix("FDNAME=") }.map { String($0.dropFirst("FDNAME=".count)) }
        var notifications: [Notification] = lines.contains("READY=1") ? [.ready] : []
        if lines.contains("FDSTOREREMOVE=1") {
            if let name { notifications.append(.remove(name: name)) }
        } else if lines.contains("FDSTORE=1") {
            notifications.append(.store(name: name))
        }
        return notifications
    }
}
