// scrapes SOCKET COUNT: gets /metrics COUNT times on one connection, and prints the 50th and the 99th percentile of the
// milliseconds until the complete response was received.
#include "http_client.h"

// Tapster answers scrapes in shorter succession with the same text.
enum { pause_milliseconds = 300, answer_bytes_max = 16 << 20 };

static char answer[answer_bytes_max];

static void scrape(int connection) {
    const char *request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    check(send(connection, request, strlen(request), MSG_NOSIGNAL), "GET");
    size_t got = 0, wanted = 0;
    do {
        ssize_t count = check(recv(connection, answer + got, answer_bytes_max - 1 - got, 0), "answer");
        if (count == 0) die("the connection was closed");
        got += (size_t)count;
        if (wanted != 0) continue;
        answer[got] = '\0';
        char *body = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\nContent-Length:");
        if (body == NULL) continue;
        if (strncmp(answer, "HTTP/1.1 200 ", strlen("HTTP/1.1 200 ")) != 0 || length == NULL) die("answer");
        wanted = (size_t)(body + 4 - answer + atol(length + strlen("\r\nContent-Length:")));
    } while (wanted == 0 || got < wanted);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: scrapes SOCKET COUNT\n");
        return 2;
    }
    int count = count_of(argv[2]), connection = check(http_connect(argv[1]), argv[1]);
    double elapsed[count];
    // Not measured: the first scrape allocates buffers.
    for (int i = -1; i < count; i++) {
        struct timespec pause = {.tv_nsec = pause_milliseconds * 1000000L};
        nanosleep(&pause, NULL);
        double start = seconds();
        scrape(connection);
        if (i >= 0) elapsed[i] = (seconds() - start) * 1e3;
    }
    qsort(elapsed, count, sizeof *elapsed, compare_doubles);
    printf("%.3f %.3f\n", percentile(elapsed, count, 50), percentile(elapsed, count, 99));
}
