// lease_each SOCKET COUNT QUEUES [hold]: leases the queues of the taps b0, b1, … in turn, keeps them, and prints the
// 50th and the 99th percentile of the milliseconds from before connecting until the descriptors have been received,
// then the same from the request on.
//
// With "hold" it runs until SIGTERM, and fails if a lease has ended until then.
#define _GNU_SOURCE
#include "lease.h"

#include <poll.h>
#include <signal.h>

static void hold(struct lease *leases, int count) {
    sigset_t end;
    int number;
    fflush(stdout);
    fclose(stdout);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigwait(&end, &number);
    int ended = 0;
    for (int i = 0; i < count; i++) {
        struct pollfd polled = {.fd = leases[i].connection, .events = POLLRDHUP};
        ended += check(poll(&polled, 1, 0), "poll");
    }
    if (ended == 0) return;
    fprintf(stderr, "%d of %d leases have ended\n", ended, count);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: lease_each SOCKET COUNT QUEUES [hold]\n");
        return 2;
    }
    int count = count_of(argv[2]), queues = count_of(argv[3]);
    struct lease *leases = calloc((size_t)count, sizeof *leases);
    double *elapsed = calloc((size_t)count, sizeof *elapsed), *answered = calloc((size_t)count, sizeof *answered);
    if (leases == NULL || elapsed == NULL || answered == NULL) die("memory");
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    raise_descriptor_limit();
    for (int i = 0; i < count; i++) {
        char name[16];
        double sent, start;
        snprintf(name, sizeof name, "b%d", i);
        start = seconds();
        int status = take_lease(argv[1], name, &leases[i], &sent);
        double now = seconds();
        if (status != 101 || leases[i].queue_count != queues) {
            fprintf(stderr, "the lease of %s was answered with %d\n", name, status);
            return 1;
        }
        elapsed[i] = (now - start) * 1e3;
        answered[i] = (now - sent) * 1e3;
    }
    qsort(elapsed, (size_t)count, sizeof *elapsed, compare_doubles);
    qsort(answered, (size_t)count, sizeof *answered, compare_doubles);
    printf("%.4f %.4f %.4f %.4f\n", percentile(elapsed, count, 50), percentile(elapsed, count, 99),
           percentile(answered, count, 50), percentile(answered, count, 99));
    if (argc == 5) hold(leases, count);
}
