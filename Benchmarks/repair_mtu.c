// repair_mtu NAME COUNT: changes the device's MTU by hand COUNT times, waits each time until somebody has repaired it,
// and prints the 50th and the 99th percentile of the milliseconds that took.
#include "common.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { right = 1500, wrong = 1400, pause_microseconds = 20000, repair_seconds_max = 10 };

static double repair_milliseconds(int any, struct ifreq *request) {
    double start = seconds();
    request->ifr_mtu = wrong;
    check(ioctl(any, SIOCSIFMTU, request), "SIOCSIFMTU");
    // Reading the MTU does not take the kernel's rtnl lock, so spinning here does not hold up the repair.
    while (request->ifr_mtu != right) {
        check(ioctl(any, SIOCGIFMTU, request), "SIOCGIFMTU");
        if (seconds() - start < repair_seconds_max) continue;
        fprintf(stderr, "nobody repairs the MTU of %s\n", request->ifr_name);
        exit(1);
    }
    return (seconds() - start) * 1e3;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: repair_mtu NAME COUNT\n");
        return 2;
    }
    int count = count_of(argv[2]);
    struct ifreq request = {0};
    snprintf(request.ifr_name, IFNAMSIZ, "%s", argv[1]);
    int any = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    double elapsed[count];
    for (int i = 0; i < count; i++) {
        // Each change comes to a daemon that is done with the one before.
        usleep(pause_microseconds);
        elapsed[i] = repair_milliseconds(any, &request);
    }
    qsort(elapsed, count, sizeof *elapsed, compare_doubles);
    // The nearest rank: of 50, the 25th and the 50th.
    printf("%.3f %.3f\n", elapsed[(count * 50 + 99) / 100 - 1], elapsed[(count * 99 + 99) / 100 - 1]);
}
