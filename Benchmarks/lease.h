// A minimal client for leases: reads the 101 response, and the lines with the queues' descriptors.
#pragma once

#include "http_client.h"

#include <sys/resource.h>

enum { lease_queues_max = 255, lease_text_bytes_max = 16384 };

struct lease {
    // −1 after the lease was released.
    int connection;
    int queues[lease_queues_max], queue_count;
};

// Raises the limit of open files, for thousands of leases.
static inline void raise_descriptor_limit(void) {
    struct rlimit limit;
    check(getrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
}

// Receives bytes, and appends descriptors to `queues`; returns 0 or less at the end of the connection.
static inline ssize_t receive_with_queues(int connection, void *bytes, size_t room, int *queues, int *queue_count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(lease_queues_max * sizeof(int))];
    struct iovec part = {bytes, room};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0) return got;
    if (message.msg_flags & MSG_CTRUNC) {
        errno = EMFILE;
        die("descriptors");
    }
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item != NULL; item = CMSG_NXTHDR(&message, item)) {
        int more = (int)((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (*queue_count + more > lease_queues_max) more = lease_queues_max - *queue_count;
        memcpy(queues + *queue_count, CMSG_DATA(item), (size_t)more * sizeof(int));
        *queue_count += more;
    }
    return got;
}

static inline void give_back(struct lease *lease) {
    for (int i = 0; i < lease->queue_count; i++) close(lease->queues[i]);
    if (lease->connection >= 0) close(lease->connection);
    lease->connection = -1;
    lease->queue_count = 0;
}

// Leases all free queues of a device.
//
// Returns the status of the response, 101 if the queues were received, or −1 if there was no complete response. Unless
// it is 101, no descriptor stays open. `sent` is the time after connecting, just before the request.
static inline int take_lease(const char *path, const char *device, struct lease *lease, double *sent) {
    char request[256], text[lease_text_bytes_max];
    size_t got = 0;
    int status = -1;
    *lease = (struct lease){.connection = http_connect(path)};
    if (lease->connection < 0) return -1;
    int length = snprintf(request, sizeof request,
                          "GET /v1/devices/%s/lease HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                          "Upgrade: tapster-lease/1\r\n\r\n", device);
    *sent = seconds();
    if (send(lease->connection, request, (size_t)length, MSG_NOSIGNAL) == length) {
        while (got < sizeof text - 1) {
            ssize_t count = receive_with_queues(lease->connection, text + got, sizeof text - 1 - got, lease->queues,
                                                &lease->queue_count);
            if (count <= 0) break;
            got += (size_t)count;
            text[got] = '\0';
            char *body = strstr(text, "\r\n\r\n");
            if (body == NULL) continue;
            int said = atoi(text + strlen("HTTP/1.1 "));
            char *last = strstr(body, "\"last\":true");
            if (said == 101 && (last == NULL || strchr(last, '\n') == NULL)) continue;
            status = said;
            break;
        }
    }
    if (status != 101) give_back(lease);
    return status;
}
