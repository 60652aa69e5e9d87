// What libmicrohttpd answers by itself, in our words.
#pragma once
#include <microhttpd.h>
#include <stdarg.h>
#include <stddef.h>

// Has the next request that the library refuses on this thread be answered with a copy of the bytes, a whole response,
// and its connection closed. NULL takes back bytes that were not sent.
void tapster_refusal_set(const void *bytes, size_t count);

// MHD_queue_response for a response of ours.
enum MHD_Result tapster_queue_response(
    struct MHD_Connection *connection, unsigned status, struct MHD_Response *response);

// What the library is about to do, from what it logs before (MHD_LogCallback).
struct tapster_library_notice {
    // Of the error page; 0 when it makes none.
    unsigned status;
    // Its text, or the reason why it closes the connection without an answer; NULL when it does neither. The library
    // owns it.
    const char *text;
};

struct tapster_library_notice tapster_library_notice(const char *format, va_list arguments);
