// Replaces the error pages that libmicrohttpd sends by itself.
#pragma once
#include <microhttpd.h>
#include <stdarg.h>
#include <stddef.h>

// Sets the complete response to the next request that the library refuses by itself on this thread, after which the
// connection is closed. The bytes are copied. NULL discards bytes that were not sent.
void tapster_refusal_set(const void *bytes, size_t count);

// MHD_queue_response of the library, for the program's own responses.
enum MHD_Result tapster_queue_response(
    struct MHD_Connection *connection, unsigned status, struct MHD_Response *response);

// How the library is about to refuse a request, from the arguments of its log message (MHD_LogCallback).
struct tapster_library_notice {
    // Status of the error page; 0 if there is none.
    unsigned status;
    // Text of the page, or the reason for closing the connection without a response; NULL for other messages. The
    // library owns it.
    const char *text;
};

struct tapster_library_notice tapster_library_notice(const char *format, va_list arguments);
