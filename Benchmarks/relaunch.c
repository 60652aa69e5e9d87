// relaunch SOCKET KEEP COUNT: kills the daemon that the process KEEP runs with SIGKILL, and prints the seconds until
// its successor is ready, and until it lists COUNT leases.
#define _GNU_SOURCE
#include "http_client.h"
#include "kept.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

enum { poll_microseconds = 1000, ready_seconds_max = 60, bytes_a_lease_max = 512 };

static int is_ready(const char *path) {
    char answer[http_text_bytes_max];
    int connection = http_connect(path);
    if (connection < 0) return 0;
    int status = http_exchange(connection, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", answer);
    close(connection);
    return status == 200;
}

// Counts the leases. The response is larger than the buffer of `http_exchange`, and ends with the connection.
static int leases(const char *path, int expected) {
    static const char request[] = "GET /v1/leases HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t room = (size_t)(expected + 32) * bytes_a_lease_max, got = 0;
    char *answer = calloc(1, room);
    int connection = http_connect(path), count = 0;
    if (answer == NULL) die("memory");
    if (connection >= 0 && send(connection, request, strlen(request), MSG_NOSIGNAL) > 0) {
        for (ssize_t more; (more = recv(connection, answer + got, room - 1 - got, 0)) > 0;) got += (size_t)more;
    }
    if (connection >= 0) close(connection);
    for (char *at = answer; (at = strstr(at, "\"id\":")) != NULL; at++) count++;
    free(answer);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: relaunch SOCKET KEEP COUNT\n");
        return 2;
    }
    int keep = count_of(argv[2]), count = count_of(argv[3]);
    pid_t daemon = kept_process(keep);
    if (daemon == 0) die("there is no daemon");
    struct pollfd gone = {.fd = check((int)syscall(SYS_pidfd_open, daemon, 0), "pidfd_open"), .events = POLLIN};
    double start = seconds(), ready = 0, listed = 0;
    check(kill(daemon, SIGKILL), "kill");
    // Waits for the daemon's end, so that its own responses are not taken for its successor's.
    check(poll(&gone, 1, ready_seconds_max * 1000), "poll");
    for (; seconds() - start < ready_seconds_max; usleep(poll_microseconds)) {
        if (ready == 0 && !is_ready(argv[1])) continue;
        if (ready == 0) ready = seconds() - start;
        if (leases(argv[1], count) != count) continue;
        listed = seconds() - start;
        printf("%.6f %.6f\n", ready, listed);
        return 0;
    }
    fprintf(stderr, "%s within %d s\n", ready == 0 ? "not ready" : "not all leases are listed", ready_seconds_max);
    return 1;
}
