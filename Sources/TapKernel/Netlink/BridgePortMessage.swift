internal import CLinux
internal import TapCore

/// Decodes and encodes the settings of a bridge's port (`IFLA_BRPORT_` of `linux/if_link.h`).
enum BridgePortMessage {
    /// Decodes `IFLA_INFO_SLAVE_DATA` of a port.
    ///
    /// - Returns: The settings that differ from those of a new port, in the kernel's order.
    static func decode(_ span: RawSpan) throws(MalformedNetlink) -> [BridgePortSetting] {
        var settings: [BridgePortSetting] = []
        try walkAttributes(span) { (type, value) throws(MalformedNetlink) in
            guard let kind = UInt16(exactly: type).flatMap(BridgePortSetting.Kind.init(rawValue:)) else { return }
            let number: UInt32 =
                switch kind.bytes {
                case 1: UInt32(try value.load(UInt8.self))
                case 2: UInt32(try value.load(UInt16.self))
                default: try value.load(UInt32.self)
                }
            let setting = BridgePortSetting(kind, number)
            if !setting.isInitial { settings.append(setting) }
        }
        return settings
    }

    /// Appends `IFLA_PROTINFO`. Without the nested flag the kernel takes it for the old form, the port's state alone
    /// (`br_setlink()` in `net/bridge/br_netlink.c`).
    static func append(_ settings: [BridgePortSetting], _ writer: inout NetlinkWriter) {
        writer.attribute(Int(IFLA_PROTINFO) | Int(NLA_F_NESTED)) { port in
            for setting in settings {
                port.attribute(Int(setting.kind.rawValue)) { value in
                    switch setting.kind.bytes {
                    case 1: value.append(UInt8(truncatingIfNeeded: setting.value))
                    case 2: value.append(UInt16(truncatingIfNeeded: setting.value))
                    default: value.append(setting.value)
                    }
                }
            }
        }
    }
}
