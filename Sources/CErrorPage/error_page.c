// libmicrohttpd refuses some requests before it calls the application, with a page of HTML or without a response, and
// has no option to change that. But it then calls one of two functions through the dynamic linker, so that functions of
// the same names in this program are called instead:
//
//     MHD_queue_response  with the page
//     shutdown(2)         from 1.0 on, on a connection whose request line it cannot parse
//
// They send our response and shut the connection down, so that the library's own page is not sent.
#define _GNU_SOURCE
#include "error_page.h"

#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local void *refusal;
static _Thread_local size_t refusal_count;

void tapster_refusal_set(const void *bytes, size_t count) {
    free(refusal);
    refusal = bytes == NULL ? NULL : malloc(count);
    if (refusal == NULL) return;
    memcpy(refusal, bytes, count);
    refusal_count = count;
}

static enum MHD_Result (*queue_response)(struct MHD_Connection *, unsigned, struct MHD_Response *);

__attribute__((constructor)) static void find_queue_response(void) {
    *(void **)&queue_response = dlsym(RTLD_NEXT, "MHD_queue_response");
}

enum MHD_Result tapster_queue_response(
    struct MHD_Connection *connection, unsigned status, struct MHD_Response *response) {
    return queue_response(connection, status, response);
}

// A client that does not read must not block the library's thread, so bytes that do not fit into the socket's buffer
// are discarded.
static void send_refusal(int socket, gnutls_session_t session) {
    if (session != NULL) {
        gnutls_record_send(session, refusal, refusal_count);
    } else {
        (void)!send(socket, refusal, refusal_count, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    tapster_refusal_set(NULL, 0);
}

__attribute__((visibility("default")))
enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response) {
    if (refusal != NULL) {
        const union MHD_ConnectionInfo *information =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        int socket = information == NULL ? -1 : information->connect_fd;
        information = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        send_refusal(socket, information == NULL ? NULL : (gnutls_session_t)information->tls_session);
        syscall(SYS_shutdown, socket, SHUT_RDWR);
    }
    return queue_response(connection, status, response);
}

__attribute__((visibility("default")))
int shutdown(int socket, int how) {
    if (refusal != NULL) send_refusal(socket, NULL);
    return (int)syscall(SYS_shutdown, socket, how);
}

struct tapster_library_notice tapster_library_notice(const char *format, va_list arguments) {
    struct tapster_library_notice notice = {0, NULL};
    if (strstr(format, "(HTTP response code is %u ('%s'))") != NULL) {
        notice.status = va_arg(arguments, unsigned);
        notice.text = va_arg(arguments, const char *);
    } else if (strcmp(format, "%s\n") == 0) {
        notice.text = va_arg(arguments, const char *);
    }
    return notice;
}
