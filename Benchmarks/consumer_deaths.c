// consumer_deaths COUNT QUEUES [SOCKET]: kills a consumer of the tap b0 COUNT times with SIGKILL, and prints the 50th
// and the 99th percentile of the milliseconds from then until the kernel steers packets to none of its queues.
//
// With SOCKET the consumer leases the queues from Tapster. Without, it opens them itself and is their last owner: the
// time until the kernel has closed them is the floor.
#include "lease.h"
#include "link.h"
#include "tun_queue.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { poll_microseconds = 20, settle_microseconds = 20000, detach_seconds_max = 10 };

static const char device[] = "b0";

static void consume(int ready, int count, const char *path) {
    struct lease lease;
    int queues[lease_queues_max];
    double sent;
    check(prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
    if (path == NULL) {
        open_queues(device, queues, count);
    } else if (take_lease(path, device, &lease, &sent) != 101) {
        fprintf(stderr, "%s is not leased\n", device);
        exit(1);
    }
    check((int)write(ready, "", 1), "write");
    pause();
}

// Waits until the device has this number of attached queues, or of all queues if `with_detached`; returns the time.
static double wait_for(int netlink, int index, unsigned wanted, bool with_detached) {
    for (double end = seconds() + detach_seconds_max; seconds() < end; usleep(poll_microseconds)) {
        struct link link = get_link(netlink, index);
        if (link.attached + (with_detached ? link.detached : 0) == wanted) return seconds();
    }
    fprintf(stderr, "%s does not reach %u queues\n", device, wanted);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: consumer_deaths COUNT QUEUES [SOCKET]\n");
        return 2;
    }
    int count = count_of(argv[1]), queues = count_of(argv[2]), netlink = open_rtnetlink();
    int index = (int)if_nametoindex(device);
    if (index == 0) die(device);
    // Otherwise the kernel may extend sleeps by 50 µs.
    check(prctl(PR_SET_TIMERSLACK, 1UL), "PR_SET_TIMERSLACK");
    double elapsed[count];
    for (int i = 0; i < count; i++) {
        int ready[2];
        char byte;
        check(pipe(ready), "pipe");
        pid_t consumer = check(fork(), "fork");
        if (consumer == 0) consume(ready[1], queues, argc == 4 ? argv[3] : NULL);
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) return 1;
        close(ready[0]);
        wait_for(netlink, index, (unsigned)queues, false);
        usleep(settle_microseconds);
        double start = seconds();
        check(kill(consumer, SIGKILL), "kill");
        elapsed[i] = (wait_for(netlink, index, 0, false) - start) * 1e3;
        check(waitpid(consumer, NULL, 0), "waitpid");
        wait_for(netlink, index, 0, true);
    }
    qsort(elapsed, (size_t)count, sizeof *elapsed, compare_doubles);
    printf("%.4f %.4f\n", percentile(elapsed, count, 50), percentile(elapsed, count, 99));
}
