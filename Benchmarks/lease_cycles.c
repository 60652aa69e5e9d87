// lease_cycles SOCKET TAPS CYCLES [KEEP DEATHS]: leases all queues of a random one of the taps b0, b1, … and releases
// them, CYCLES times; prints how many consumers and daemons were killed.
//
// One of 20 consumers is killed with SIGKILL, at a random time from before its request until it has its queues. The
// daemon that the process KEEP runs is killed DEATHS times, in the middle of a lease.
#include "kept.h"
#include "lease.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    consumers_per_death = 20, death_microseconds_max = 4000, pause_microseconds = 200, cycle_seconds_max = 60,
    seed = 4,
};

static const char *path;
static int taps;

static int below(int limit) { return (int)(random() % limit); }

// Tries again if the queues have not been released yet, or the daemon does not run.
static struct lease take_any(void) {
    for (double end = seconds() + cycle_seconds_max; seconds() < end; usleep(pause_microseconds)) {
        char name[16];
        double sent;
        struct lease lease;
        snprintf(name, sizeof name, "b%d", below(taps));
        int status = take_lease(path, name, &lease, &sent);
        if (status == 101) return lease;
        if (status == 409 || status == 503 || status == -1) continue;
        fprintf(stderr, "the lease of %s was answered with %d\n", name, status);
        exit(1);
    }
    fprintf(stderr, "no lease within %d s\n", cycle_seconds_max);
    exit(1);
}

static pid_t fork_child(void) {
    pid_t child = check(fork(), "fork");
    if (child == 0) check(prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
    return child;
}

static void die_as_consumer(void) {
    pid_t consumer = fork_child();
    if (consumer == 0) {
        take_any();
        pause();
    }
    usleep((useconds_t)below(death_microseconds_max));
    check(kill(consumer, SIGKILL), "kill");
    check(waitpid(consumer, NULL, 0), "waitpid");
}

// Kills the daemon from a child that sleeps first, while this process leases.
static pid_t doom(int keep) {
    pid_t daemon;
    while ((daemon = kept_process(keep)) == 0) usleep(pause_microseconds);
    pid_t killer = fork_child();
    if (killer != 0) return killer;
    usleep((useconds_t)below(death_microseconds_max));
    kill(daemon, SIGKILL);
    _exit(0);
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 6) {
        fprintf(stderr, "usage: lease_cycles SOCKET TAPS CYCLES [KEEP DEATHS]\n");
        return 2;
    }
    path = argv[1];
    taps = count_of(argv[2]);
    int cycles = count_of(argv[3]);
    int keep = argc == 6 ? count_of(argv[4]) : 0, deaths = argc == 6 ? count_of(argv[5]) : 0;
    int consumers_died = 0, daemons_died = 0;
    srandom(seed);
    for (int cycle = 1; cycle <= cycles; cycle++) {
        pid_t killer = 0;
        if (deaths > 0 && cycle % (cycles / (deaths + 1)) == 0 && daemons_died < deaths) {
            killer = doom(keep);
            daemons_died++;
        }
        if (below(consumers_per_death) == 0) {
            die_as_consumer();
            consumers_died++;
        } else {
            struct lease lease = take_any();
            give_back(&lease);
        }
        if (killer != 0) check(waitpid(killer, NULL, 0), "waitpid");
    }
    printf("%d %d\n", consumers_died, daemons_died);
}
