// puts SOCKET CLIENTS COUNT: CLIENTS connections, each with its own device, send COUNT durable PUTs in total, each
// connection one after the other. Every PUT changes a label, which needs no change in the kernel. Prints the seconds in
// total, and the 50th and the 99th percentile of the seconds per PUT.
#include "http_client.h"

#include <pthread.h>

static const char *path;
static int clients, count;
static double *times;

static void put(int connection, int device, int value) {
    char text[512], body[128], answer[http_text_bytes_max];
    int length = snprintf(body, sizeof body,
                          "{\"metadata\":{\"labels\":{\"n\":\"%d\"}},\"spec\":{\"queues\":4}}", value);
    snprintf(text, sizeof text,
             "PUT /v1/devices/b%d HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: %d\r\n\r\n%s", device, length, body);
    int status = http_exchange(connection, text, answer);
    if (status == 200 || status == 201) return;
    fprintf(stderr, "PUT of b%d was answered with %d:\n%s\n", device, status, answer);
    exit(1);
}

static void *client(void *argument) {
    int device = *(int *)argument;
    int connection = check(http_connect(path), path);
    for (int i = device; i < count; i += clients) {
        double began = seconds();
        put(connection, device, i + 1);
        times[i] = seconds() - began;
    }
    close(connection);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: puts SOCKET CLIENTS COUNT\n");
        return 2;
    }
    path = argv[1];
    clients = count_of(argv[2]);
    count = count_of(argv[3]);
    times = calloc((size_t)count, sizeof *times);
    // Creates the devices and waits until the worker is done with them, before the measurement.
    int connection = check(http_connect(path), path), devices[clients];
    for (int i = 0; i < clients; i++) put(connection, i, 0);
    close(connection);
    sleep(1);
    pthread_t threads[clients];
    double start = seconds();
    for (int i = 0; i < clients; i++) {
        devices[i] = i;
        if (pthread_create(&threads[i], NULL, client, &devices[i]) != 0) die("thread");
    }
    for (int i = 0; i < clients; i++) pthread_join(threads[i], NULL);
    double all = seconds() - start;
    qsort(times, (size_t)count, sizeof *times, compare_doubles);
    printf("%.6f %.6f %.6f\n", all, percentile(times, count, 50), percentile(times, count, 99));
}
