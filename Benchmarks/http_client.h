// A minimal HTTP client: one request after the other on a Unix socket; responses must have a Content-Length.
#pragma once

#include "common.h"

#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { http_text_bytes_max = 16384, http_silence_seconds_max = 60 };

// Returns a connected socket, or −1 if no process listens at the path.
static inline int http_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    struct timeval silence = {.tv_sec = http_silence_seconds_max};
    int connection = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    check(setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence), "SO_RCVTIMEO");
    if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0) return connection;
    close(connection);
    return -1;
}

// Sends a request and returns the status of the response, or −1 if the connection broke. `answer`, a buffer of
// http_text_bytes_max bytes, receives headers and body as one text.
static inline int http_exchange(int connection, const char *request, char *answer) {
    size_t length = strlen(request), got = 0, wanted = 0;
    if (send(connection, request, length, MSG_NOSIGNAL) != (ssize_t)length) return -1;
    do {
        ssize_t count = recv(connection, answer + got, http_text_bytes_max - 1 - got, 0);
        if (count <= 0) return -1;
        got += (size_t)count;
        answer[got] = '\0';
        char *body = strstr(answer, "\r\n\r\n");
        for (char *line = answer; body != NULL && line < body; line = strstr(line, "\r\n") + 2)
            if (strncasecmp(line, "Content-Length:", 15) == 0) wanted = (size_t)(body + 4 - answer + atol(line + 15));
    } while (got < wanted || wanted == 0);
    return atoi(answer + strlen("HTTP/1.1 "));
}
