// converging_gets SOCKET FILE COUNT: has Tapster apply FILE, a document of the taps b0, b1, …, and gets one tap after
// the other while they converge; prints the 50th and the 99th percentile and the maximum of the milliseconds per GET.
#include "http_client.h"

enum { gets_max = 1 << 20, ready_seconds_max = 120 };

// Applies the document without waiting for the taps.
static int apply(const char *path, const char *file) {
    char head[256];
    size_t bytes;
    char *body = read_file(file, &bytes);
    int length = snprintf(head, sizeof head, "POST /v1/apply HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", bytes);
    int connection = check(http_connect(path), path);
    check(send(connection, head, length, MSG_NOSIGNAL), "POST");
    check(send(connection, body, bytes, MSG_NOSIGNAL), "POST");
    free(body);
    return connection;
}

static void expect_success(int connection) {
    char answer[1024];
    ssize_t got = check(recv(connection, answer, sizeof answer - 1, 0), "answer to POST");
    answer[got] = '\0';
    if (strncmp(answer, "HTTP/1.1 20", strlen("HTTP/1.1 20")) == 0) return;
    fprintf(stderr, "POST was answered with: %s\n", answer);
    exit(1);
}

static int is_ready(int connection, int number) {
    char text[128], answer[http_text_bytes_max];
    snprintf(text, sizeof text, "GET /v1/devices/b%d HTTP/1.1\r\nHost: localhost\r\n\r\n", number);
    int status = http_exchange(connection, text, answer);
    if (status == 200) return strstr(answer, "\"phase\":\"Ready\"") != NULL;
    // Before the document is stored, the tap does not exist.
    if (status == 404) return 0;
    fprintf(stderr, "GET of b%d was answered with %d\n", number, status);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: converging_gets SOCKET FILE COUNT\n");
        return 2;
    }
    static double elapsed[gets_max];
    int count = count_of(argv[3]), gets = 0, gets_before_end = 0;
    int reader = check(http_connect(argv[1]), argv[1]);
    int writer = apply(argv[1], argv[2]);
    double end = seconds() + ready_seconds_max;
    for (int number = 0; number < count;) {
        double start = seconds();
        int ready = is_ready(reader, number);
        if (start > end || gets == gets_max) {
            fprintf(stderr, "b%d does not become Ready\n", number);
            return 1;
        }
        elapsed[gets++] = (seconds() - start) * 1e3;
        // A tap that is not Ready is asked for again. GETs after the last time that one was not Ready do not count,
        // since all taps have converged then.
        if (ready) number++;
        else gets_before_end = gets;
    }
    expect_success(writer);
    if (gets_before_end == 0) {
        fprintf(stderr, "all taps were Ready before the first GET\n");
        return 1;
    }
    qsort(elapsed, gets_before_end, sizeof *elapsed, compare_doubles);
    printf("%.3f %.3f %.3f\n", percentile(elapsed, gets_before_end, 50), percentile(elapsed, gets_before_end, 99),
           elapsed[gets_before_end - 1]);
}
