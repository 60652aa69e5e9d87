/// A row's own proof that it says what was written: SQLite does not notice when the disk changes bytes within a value.
enum RowDigest {
    /// FNV-1a over the values and their ends, as SQLite keeps it: signed. Rows of before it was kept have none.
    static func of(_ values: String?...) -> Int64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        for value in values {
            for byte in (value ?? "").utf8 { add(byte) }
            // Bytes that no text has.
            add(value == nil ? 0xFE : 0xFF)
        }
        return Int64(bitPattern: hash)
    }

    /// - Throws: `StoreError.failed` for another row than the one that was written.
    static func check(_ stored: Int64?, is digest: Int64) throws(StoreError) {
        guard let stored, stored != digest else { return }
        throw .failed(detail: "its bytes are not those that were written")
    }
}
