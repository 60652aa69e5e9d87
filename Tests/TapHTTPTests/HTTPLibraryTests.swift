import TapHTTP
import Testing

@testable import TapHTTP

@Suite struct HTTPLibraryTests {
    @Test func theLoadedLibraryIsSupported() throws {
        try HTTPLibrary.check()
        #expect(HTTPLibrary.version.split(separator: ".").count >= 3)
    }

    /// The error pages of libmicrohttpd 0.9.75 and 1.0.1, and the messages it logs before it closes a connection.
    @Test(
        arguments: [
            (400, "<html><head><title>Request malformed</title></head>", .malformedRequest),
            (400, "<head><title>&quot;Host:&quot; header required</title></head>", .ambiguousRequest),
            (400, "both Transfer-Encoding and Content-Length headers are used", .ambiguousRequest),
            (400, "The Transfer-Encoding used in request is not supported.", .unknownTransferCoding),
            (414, "", .targetTooLong), (431, "", .headersTooLarge), (505, "", .unknownVersion),
            (418, "", .malformedRequest), (413, "", .bodyTooLarge),
            (413, "The total size of the request chunk size line is too big", .unreadableBody),
            (0, "The NUL character is in the request line.\n", .malformedRequest),
            (
                0, "No space left in the read buffer when receiving the initial part of the request line.",
                .targetTooLong
            ),
            (0, "Closing connection (failed to queue response)", nil), (0, "", nil),
        ] as [(UInt32, String, HTTPRejection?)])
    func rejectionsByTheLibraryHaveAReason(status: UInt32, text: String, reason: HTTPRejection?) {
        #expect(HTTPRejection(libraryStatus: status, text: text) == reason)
    }
}
