/// A row's checksum: SQLite does not notice when the disk changes bytes within a value.
enum RowDigest {
    /// 64-bit FNV-1a over the values, each with a terminator; signed, as SQLite stores integers.
    static func of(_ values: String?...) -> Int64 { of(values) }

    /// The same over an array.
    static func of(_ values: [String?]) -> Int64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        for value in values {
            for byte in (value ?? "").utf8 { add(byte) }
            // Bytes that UTF-8 text never contains.
            add(value == nil ? 0xFE : 0xFF)
        }
        return Int64(bitPattern: hash)
    }

    /// Accepts a `nil` digest: rows that were written before digests were introduced have none.
    ///
    /// - Throws: `StoreError.failed` if the row differs from the one that was written.
    static func check(_ stored: Int64?, is digest: Int64) throws(StoreError) {
        guard let stored, stored != digest else { return }
        throw .failed(detail: "its bytes differ from those that were written")
    }
}
