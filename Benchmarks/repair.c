// repair FIRST COUNT: changes each field of COUNT taps, from b<FIRST> on, waits each time until another process has
// repaired it, and prints the 50th and the 99th percentile of the milliseconds per repair.
//
// A repair lasts from the kernel's notification of the change to its notification of the repair. No field is changed
// twice, since Tapster delays repairs of a field that changes repeatedly.
#include "link.h"

#include <sched.h>
#include <sys/time.h>
#include <unistd.h>

enum { wrong_mtu = 1400, wrong_queue_length = 500, pause_microseconds = 30000, repair_seconds_max = 10 };

static int monitor, netlink;

static void forget_what_was_heard(void) {
    char datagram[1];
    while (recv(monitor, datagram, sizeof datagram, MSG_DONTWAIT) >= 0) {}
    if (errno != EAGAIN) die("monitor");
}

// Waits for a notification in which the link's field is, or is not, as in `right`; returns the time of its arrival.
static double hear_of(enum field field, const struct link *right, bool equal) {
    struct link link;
    do link = hear(monitor);
    while (link.index != right->index || is_equal(field, &link, right) != equal);
    return seconds();
}

static double repair_milliseconds(int index, enum field field) {
    struct link right = get_link(netlink, index), wrong = right;
    wrong.mtu = wrong_mtu;
    wrong.queue_length = wrong_queue_length;
    wrong.address[5] ^= 1;
    wrong.up = false;
    forget_what_was_heard();
    send_change(netlink, field, &wrong);
    double start = hear_of(field, &right, false);
    double end = hear_of(field, &right, true);
    expect_acknowledgement(netlink, change_sequence, "RTM_SETLINK");
    return (end - start) * 1e3;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: repair FIRST COUNT\n");
        return 2;
    }
    int first = atoi(argv[1]), devices = count_of(argv[2]), count = devices * field_count;
    struct timeval silence = {.tv_sec = repair_seconds_max};
    monitor = open_monitor();
    netlink = open_rtnetlink();
    check(setsockopt(monitor, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence), "SO_RCVTIMEO");
    // The repairing process wakes up during the change, and could take the processor before the clock is read.
    struct sched_param priority = {.sched_priority = 1};
    check(sched_setscheduler(0, SCHED_FIFO, &priority), "SCHED_FIFO");
    double elapsed[count];
    for (int i = 0; i < count; i++) {
        char name[IFNAMSIZ];
        snprintf(name, sizeof name, "b%d", first + i / field_count);
        int index = (int)if_nametoindex(name);
        if (index == 0) die(name);
        // Gives the repairing process time to finish the previous repair, and to record it.
        usleep(pause_microseconds);
        elapsed[i] = repair_milliseconds(index, i % field_count);
    }
    qsort(elapsed, count, sizeof *elapsed, compare_doubles);
    printf("%.3f %.3f\n", percentile(elapsed, count, 50), percentile(elapsed, count, 99));
}
