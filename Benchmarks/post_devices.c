// post_devices SOCKET COUNT QUEUES [CONNECTIONS]: posts the taps b0, b1, … to Tapster, one POST each, and prints the
// seconds from the first POST until all of them are Ready.
#include "http_client.h"

#include <pthread.h>

enum { poll_microseconds = 1000, ready_seconds_max = 120 };

static const char *path;
static int count, queues, connections = 1;

static int request(int connection, const char *text, char *answer) {
    int status = http_exchange(connection, text, answer);
    if (status < 0) die("the connection broke");
    return status;
}

static void post(int connection, int number) {
    char text[512], body[128], answer[http_text_bytes_max];
    int length = snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"b%d\"},\"spec\":{\"queues\":%d}}",
                          number, queues);
    snprintf(text, sizeof text,
             "POST /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: %d\r\n\r\n%s", length, body);
    if (request(connection, text, answer) == 201) return;
    fprintf(stderr, "POST of b%d was not answered with 201:\n%s\n", number, answer);
    exit(1);
}

static void wait_until_ready(int connection, int number) {
    char text[128], answer[http_text_bytes_max];
    snprintf(text, sizeof text, "GET /v1/devices/b%d HTTP/1.1\r\nHost: localhost\r\n\r\n", number);
    for (double start = seconds(); seconds() - start < ready_seconds_max; usleep(poll_microseconds)) {
        int status = request(connection, text, answer);
        if (status == 200 && strstr(answer, "\"phase\":\"Ready\"") != NULL) return;
        if (status != 200) break;
    }
    fprintf(stderr, "b%d does not become Ready:\n%s\n", number, answer);
    exit(1);
}

// Each connection posts every CONNECTIONS-th device. It waits for the last one first: when that is Ready the others
// usually are too, so that one GET each is enough and does not take processor time from the daemon.
static void *converge(void *argument) {
    int first = *(int *)argument;
    int connection = check(http_connect(path), path);
    int number = first;
    for (; number < count; number += connections) post(connection, number);
    while ((number -= connections) >= 0) wait_until_ready(connection, number);
    close(connection);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: post_devices SOCKET COUNT QUEUES [CONNECTIONS]\n");
        return 2;
    }
    path = argv[1];
    count = count_of(argv[2]);
    queues = count_of(argv[3]);
    if (argc == 5) connections = count_of(argv[4]);
    pthread_t threads[connections];
    int firsts[connections];
    double start = seconds();
    for (int i = 0; i < connections; i++) {
        firsts[i] = i;
        if (pthread_create(&threads[i], NULL, converge, &firsts[i]) != 0) die("thread");
    }
    for (int i = 0; i < connections; i++) pthread_join(threads[i], NULL);
    printf("%.6f\n", seconds() - start);
}
