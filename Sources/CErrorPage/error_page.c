// libmicrohttpd 0.9.75 refuses some requests before it tells anybody, with a page of HTML. There is no option for it.
// But it makes that page with a public function of its own, which the dynamic linker looks up like any other; so a
// function of the same name in the program comes first. Nothing else in Tapster calls it.
#include "error_page.h"

#include <string.h>

static _Thread_local struct MHD_Response *next;
// After a bad Content-Length the library would send the headers of its page twice; so it gets none, and closes.
static _Thread_local int is_without;

void tapster_error_page_set(struct MHD_Response *page) {
    if (next != NULL) MHD_destroy_response(next);
    next = page;
}

__attribute__((visibility("default")))
struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer, enum MHD_ResponseMemoryMode mode) {
    struct MHD_Response *page = next;
    next = NULL;
    if (is_without) {
        is_without = 0;
        if (page != NULL) MHD_destroy_response(page);
        return NULL;
    }
    if (page != NULL) return page;
    (void)mode; // Its pages are constants.
    return MHD_create_response_from_buffer_with_free_callback(size, buffer, NULL);
}

unsigned tapster_error_page_status(const char *format, va_list arguments) {
    if (strstr(format, "(HTTP response code is %u ") != NULL) return va_arg(arguments, unsigned);
    // Comes before.
    is_without = strstr(format, "Content-Length") != NULL;
    return 0;
}
