// What libmicrohttpd answers by itself, in our words.
#pragma once
#include <microhttpd.h>
#include <stdarg.h>

// Has the library send `page` instead of the next page that it makes on this thread, with its own status. NULL takes
// back what it has not sent. The page is the library's from here on.
void tapster_error_page_set(struct MHD_Response *page);

// The status that the library is about to answer, from what it logs before (MHD_LogCallback); 0 when it logs
// something else.
unsigned tapster_error_page_status(const char *format, va_list arguments);
