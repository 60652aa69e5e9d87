// viewers SOCKET TARGET CONNECTIONS: GETs the target on all connections, on each again as soon as the response has been
// received, until SIGTERM; then prints the number of responses.
#define _GNU_SOURCE
#include "http_client.h"

#include <poll.h>
#include <signal.h>

enum { head_bytes_max = 4096 };

struct viewer {
    char head[head_bytes_max];
    // What has been received of the head and, once the head is complete, how much of the body is left.
    size_t head_bytes;
    long left;
    int has_head;
};

static volatile sig_atomic_t is_over;

static void end(int number) {
    (void)number;
    is_over = 1;
}

static void ask(int connection, const char *request) {
    check(send(connection, request, strlen(request), MSG_NOSIGNAL), "GET");
}

// Reads what has arrived. Returns 1 at the end of a response.
static int read_response(int connection, struct viewer *viewer) {
    static char body[65536];
    if (viewer->has_head) {
        size_t wanted = viewer->left < (long)sizeof body ? (size_t)viewer->left : sizeof body;
        ssize_t count = check(recv(connection, body, wanted, 0), "answer");
        if (count == 0) die("the connection was closed");
        viewer->left -= count;
    } else {
        // Not beyond the head: it ends somewhere in these bytes, and so does a short body.
        ssize_t count = check(
            recv(connection, viewer->head + viewer->head_bytes, head_bytes_max - 1 - viewer->head_bytes, 0), "answer");
        if (count == 0) die("the connection was closed");
        viewer->head_bytes += (size_t)count;
        viewer->head[viewer->head_bytes] = '\0';
        char *blank = strstr(viewer->head, "\r\n\r\n"), *length = strcasestr(viewer->head, "\r\nContent-Length:");
        if (blank == NULL) return 0;
        if (length == NULL) die("Content-Length");
        viewer->has_head = 1;
        viewer->left = atol(length + strlen("\r\nContent-Length:")) -
                       (long)(viewer->head_bytes - (size_t)(blank + 4 - viewer->head));
    }
    if (viewer->left > 0) return 0;
    *viewer = (struct viewer){0};
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: viewers SOCKET TARGET CONNECTIONS\n");
        return 2;
    }
    int count = count_of(argv[3]);
    char request[512];
    struct pollfd *polled = calloc((size_t)count, sizeof *polled);
    struct viewer *viewers = calloc((size_t)count, sizeof *viewers);
    if (polled == NULL || viewers == NULL) die("memory");
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[2]);
    signal(SIGTERM, end);
    for (int i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = check(http_connect(argv[1]), argv[1]), .events = POLLIN};
        ask(polled[i].fd, request);
    }
    long responses = 0;
    while (!is_over) {
        if (poll(polled, (nfds_t)count, 100) < 0 && errno != EINTR) die("poll");
        for (int i = 0; i < count && !is_over; i++) {
            if (polled[i].revents == 0 || !read_response(polled[i].fd, &viewers[i])) continue;
            responses++;
            ask(polled[i].fd, request);
        }
    }
    printf("%ld\n", responses);
}
