// hostile_clients SOCKET TARGET COUNT SECONDS: a normal client gets TARGET repeatedly, first alone and then beside
// COUNT hostile clients, for SECONDS each; prints both 99th percentiles of the milliseconds per GET.
//
// Of the hostile clients, a quarter each sends a byte now and then, sends half a request, sends invalid HTTP, or
// requests lists and does not read them. Clients that are cut off connect again.
#include "http_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { gets_max = 1 << 22, clients_max = 1024, tick_microseconds = 20000, settle_microseconds = 500000 };
enum kind { drips, falls_silent, sends_rubbish, does_not_read, kinds };

static const char *const rubbish[] = {
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "POST /v1/apply HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /v1/%2e%2e/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST /v1/devices HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
};
enum { rubbish_count = sizeof rubbish / sizeof *rubbish };

static int open_client(const char *path, enum kind kind) {
    int connection = http_connect(path);
    if (connection < 0) return -1;
    check(fcntl(connection, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    const char *first = kind == drips ? "GET /" : kind == falls_silent ? "GET /livez HTTP/1.1\r\nHost: " : "";
    send(connection, first, strlen(first), MSG_NOSIGNAL);
    return connection;
}

// Returns 0 if the connection has ended.
static int act(int connection, enum kind kind, int turn) {
    static const char list[] = "GET /v1/devices?limit=100 HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[4096];
    ssize_t got = -1;
    const char *text = kind == drips ? "a" : kind == sends_rubbish ? rubbish[turn % rubbish_count] : list;
    if (kind != falls_silent && send(connection, text, strlen(text), MSG_NOSIGNAL) < 0 && errno != EAGAIN) return 0;
    if (kind == does_not_read) return 1;
    got = recv(connection, answer, sizeof answer, 0);
    return got > 0 || (got < 0 && errno == EAGAIN);
}

// Runs until it is killed.
static void be_hostile(const char *path, int count) {
    static int connections[clients_max];
    for (int i = 0; i < count; i++) connections[i] = -1;
    for (int turn = 0;; turn++) {
        for (int i = 0; i < count; i++) {
            enum kind kind = i % kinds;
            if (connections[i] >= 0 && act(connections[i], kind, turn + i)) continue;
            if (connections[i] >= 0) close(connections[i]);
            connections[i] = open_client(path, kind);
        }
        usleep(tick_microseconds);
    }
}

static double p99_of_gets(const char *path, const char *target, int duration) {
    static double elapsed[gets_max];
    char request[256], answer[http_text_bytes_max];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    int connection = check(http_connect(path), path), count = 0;
    double end = seconds() + duration;
    for (double start = seconds(); start < end && count < gets_max; count++) {
        int status = http_exchange(connection, request, answer);
        if (status != 200) {
            fprintf(stderr, "GET of the normal client was answered with %d\n", status);
            exit(1);
        }
        double now = seconds();
        elapsed[count] = (now - start) * 1e3;
        start = now;
    }
    close(connection);
    qsort(elapsed, count, sizeof *elapsed, compare_doubles);
    return percentile(elapsed, count, 99);
}

int main(int argc, char **argv) {
    if (argc != 5 || count_of(argv[3]) > clients_max) {
        fprintf(stderr, "usage: hostile_clients SOCKET TARGET COUNT SECONDS\n");
        return 2;
    }
    int duration = count_of(argv[4]);
    double alone = p99_of_gets(argv[1], argv[2], duration);
    pid_t child = check(fork(), "fork");
    if (child == 0) be_hostile(argv[1], count_of(argv[3]));
    usleep(settle_microseconds);
    double beside = p99_of_gets(argv[1], argv[2], duration);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("%.4f %.4f\n", alone, beside);
}
