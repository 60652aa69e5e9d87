// watch_events SOCKET WATCHERS WRITES: opens WATCHERS watches, sends WRITES PUTs one after the other, and prints the
// 50th and the 99th percentile of the milliseconds from a PUT's response to its event, over all watchers, and then the
// same from sending the PUT. An event that arrives before the response counts as 0 in the first two.
#include "http_client.h"

#include <sys/epoll.h>

enum { watchers_max = 64, stream_bytes_max = 1 << 16, wait_milliseconds_max = 10000, pause_microseconds = 2000 };

struct watcher {
    int connection;
    size_t got;
    // The last received bytes, since the text may be split between two reads.
    char text[stream_bytes_max];
    double told;
};

static struct watcher watchers[watchers_max];
static const char watch_request[] = "GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n";

// Reads the available bytes and searches them for a text. Keeps only a tail of the text's length for the next call.
static int reads(struct watcher *watcher, const char *wanted) {
    size_t tail = strlen(wanted);
    int found = 0;
    for (;;) {
        ssize_t count = recv(watcher->connection, watcher->text + watcher->got,
                             sizeof watcher->text - 1 - watcher->got, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return found;
        if (count <= 0) die("a watch has ended");
        watcher->got += (size_t)count;
        watcher->text[watcher->got] = '\0';
        if (strstr(watcher->text, wanted) != NULL) found = 1;
        if (watcher->got > tail) {
            memmove(watcher->text, watcher->text + watcher->got - tail, tail);
            watcher->got = tail;
        }
    }
}

// Waits until every watcher has received the text, and records the times.
static void wait_for(int poll, int count, const char *wanted) {
    for (int i = 0; i < count; i++) watchers[i].told = 0;
    for (int left = count; left > 0;) {
        struct epoll_event events[watchers_max];
        int ready = check(epoll_wait(poll, events, watchers_max, wait_milliseconds_max), "epoll_wait");
        if (ready == 0) {
            fprintf(stderr, "%d of %d watchers did not receive %s\n", left, count, wanted);
            exit(1);
        }
        for (int i = 0; i < ready; i++) {
            struct watcher *watcher = events[i].data.ptr;
            if (reads(watcher, wanted) && watcher->told == 0) {
                watcher->told = seconds();
                left--;
            }
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: watch_events SOCKET WATCHERS WRITES\n");
        return 2;
    }
    int count = count_of(argv[2]), writes = count_of(argv[3]);
    if (count > watchers_max) die("too many watchers");
    int poll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (int i = 0; i < count; i++) {
        struct watcher *watcher = &watchers[i];
        watcher->connection = check(http_connect(argv[1]), "connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = watcher};
        check(epoll_ctl(poll, EPOLL_CTL_ADD, watcher->connection, &event), "epoll_ctl");
        if (send(watcher->connection, watch_request, strlen(watch_request), MSG_NOSIGNAL) < 0) die("send");
    }
    wait_for(poll, count, "{\"type\":\"BOOKMARK\"");

    double *from_answer = calloc((size_t)count * writes, sizeof *from_answer);
    double *from_start = calloc((size_t)count * writes, sizeof *from_start);
    char *answer = malloc(http_text_bytes_max);
    if (from_answer == NULL || from_start == NULL || answer == NULL) die("memory");
    int writer = check(http_connect(argv[1]), "connect"), samples = 0;
    for (int write = 0; write < writes; write++) {
        char body[128], request[512], label[64];
        // The label identifies the write in its event.
        snprintf(label, sizeof label, "\"write\":\"w%d\"", write);
        snprintf(body, sizeof body, "{\"metadata\":{\"labels\":{%s}}}", label);
        snprintf(request, sizeof request,
                 "PUT /v1/devices/watched HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        double sent = seconds();
        int status = http_exchange(writer, request, answer);
        double answered = seconds();
        if (status != 200 && status != 201) {
            fprintf(stderr, "PUT was answered with %d: %s\n", status, answer);
            return 1;
        }
        wait_for(poll, count, label);
        for (int i = 0; i < count; i++, samples++) {
            from_answer[samples] = watchers[i].told > answered ? watchers[i].told - answered : 0;
            from_start[samples] = watchers[i].told - sent;
        }
        usleep(pause_microseconds);
    }
    qsort(from_answer, (size_t)samples, sizeof *from_answer, compare_doubles);
    qsort(from_start, (size_t)samples, sizeof *from_start, compare_doubles);
    printf("%.3f %.3f %.3f %.3f\n", percentile(from_answer, samples, 50) * 1e3,
           percentile(from_answer, samples, 99) * 1e3,
           percentile(from_start, samples, 50) * 1e3, percentile(from_start, samples, 99) * 1e3);
}
