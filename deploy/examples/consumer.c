// Leases the free queues of a tap device from Tapster, and prints a line for each packet that arrives.
//
//     cc -Wall -Wextra -Werror -std=c11 -O2 -o consumer consumer.c
//     ./consumer DEVICE [SOCKET]
//
// A template for your own consumers; consumer.py is the same in Python.
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { queues_max = 255, descriptors_per_message_max = 250 };

static int connection;
static char received[16384];  // bytes from the daemon that have not been parsed yet, NUL-terminated
static size_t received_bytes;
static int descriptors[queues_max];
static int descriptor_count;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

// Descriptors arrive with bytes, and a plain read() of these would discard them: use recvmsg() even for the head.
static void receive(void) {
    size_t room = sizeof received - 1 - received_bytes;
    struct iovec bytes = {received + received_bytes, room};
    union {
        struct cmsghdr aligned;
        char space[CMSG_SPACE(descriptors_per_message_max * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t count = room == 0 ? 0 : recvmsg(connection, &message, 0);
    // Truncated: more descriptors than this process may have open (RLIMIT_NOFILE).
    if (count <= 0 || message.msg_flags & MSG_CTRUNC) fail("not all queues were received");
    received_bytes += (size_t)count;
    received[received_bytes] = 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
        int more = (int)((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (more > queues_max - descriptor_count) fail("more queues than a device can have");
        memcpy(descriptors + descriptor_count, CMSG_DATA(item), (size_t)more * sizeof(int));
        descriptor_count += more;
    }
}

// Returns the text before the mark, and removes both from the buffer; valid until the next call.
static char *receive_until(const char *mark) {
    static char text[sizeof received];
    char *end;
    while (!(end = strstr(received, mark))) receive();
    size_t length = (size_t)(end - received), used = length + strlen(mark);
    memcpy(text, received, length);
    text[length] = 0;
    received_bytes -= used;
    memmove(received, received + used, received_bytes + 1);
    return text;
}

// The value of a key in a line. No value in a lease's line can look like a key, so a text search is sufficient.
static const char *value(const char *line, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *found = strstr(line, quoted);
    if (!found) fail("not a line of a lease");
    found += strlen(quoted);
    return found + strspn(found, ": [");
}

int main(int count, char **words) {
    if (count < 2) fail("usage: consumer DEVICE [SOCKET]");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", count > 2 ? words[2] : "/run/tapster/api.sock");
    connection = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) fail("cannot connect to the socket");
    dprintf(connection,
            "GET /v1/devices/%s/lease HTTP/1.1\r\nHost: tapster\r\n"
            "Connection: Upgrade\r\nUpgrade: tapster-lease/1\r\n\r\n",
            words[1]);

    const char *head = receive_until("\r\n\r\n");
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
        // A problem document, whose "detail" says what was wrong.
        while (!strchr(received, '}')) receive();
        fail(received);
    }

    // Each line is for at most 250 queues; its descriptors are in the order of the queues' numbers.
    int indices[queues_max], index_count = 0, is_last = 0;
    long header_bytes = 0;
    while (!is_last) {
        const char *line = receive_until("\n");
        const char *number = value(line, "queues");
        for (char *end; index_count < queues_max; number = end + strspn(end, ", ")) {
            int index = (int)strtol(number, &end, 10);
            if (end == number) break;
            indices[index_count++] = index;
        }
        // null without a header, which strtol() reads as 0.
        header_bytes = strtol(value(line, "vnetHeaderSize"), NULL, 10);
        is_last = strncmp(value(line, "last"), "true", 4) == 0;
    }
    if (index_count != descriptor_count) fail("the numbers of descriptors and queues differ");
    printf("%s: %d queues\n", words[1], index_count);
    fflush(stdout);

    // Packets arrive from now on. The lease lasts as long as this connection: keep it open. Read every queue, since the
    // kernel distributes flows over all of them. Do not attach or detach queues (TUNSETQUEUE): Tapster does that.
    struct pollfd polled[1 + queues_max] = {{.fd = connection, .events = POLLIN}};
    for (int i = 0; i < index_count; i++) polled[1 + i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
    // Room for the longest packet: each read returns one packet, and the kernel discards bytes that do not fit.
    size_t room = (size_t)header_bytes + 65536;
    char *packet = malloc(room);
    if (!packet) fail("no memory");
    while (poll(polled, (nfds_t)index_count + 1, -1) > 0 && !polled[0].revents) {
        for (int i = 0; i < index_count; i++) {
            if (!polled[1 + i].revents) continue;
            // The queues are non-blocking. An error means that the device is gone; the connection then ends too.
            ssize_t length = read(polled[1 + i].fd, packet, room);
            // With vnetHeader, each packet begins with a struct virtio_net_hdr (checksum and segmentation offload).
            if (length >= header_bytes) printf("queue %d: %ld bytes\n", indices[i], (long)length - header_bytes);
        }
        fflush(stdout);
    }
    puts("the lease has ended");
    return 0;
}
