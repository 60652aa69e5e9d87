// floor_dump [REPEAT]: reads all interfaces of the namespace REPEAT times (11) and prints the median seconds.
//
// The floor for a restart: the one dump with which Tapster reads all interfaces.
#include "rtnetlink.h"

// The kernel sends dumps in parts of up to 32 KiB; Tapster's buffer has the same size.
static char buffer[65536];

static void dump(int netlink) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg interface;
        struct rtattr mask_header;
        unsigned mask;
    } request = {
        .header = {sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
        .mask_header = {sizeof(struct rtattr) + sizeof(unsigned), IFLA_EXT_MASK},
        .mask = RTEXT_FILTER_SKIP_STATS,
    };
    check(send(netlink, &request, sizeof request, 0), "RTM_GETLINK");
    while (1) {
        unsigned left = check(recv(netlink, buffer, sizeof buffer, MSG_TRUNC), "answer");
        struct nlmsghdr *message = (struct nlmsghdr *)buffer;
        for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE) return;
            if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_flags & NLM_F_DUMP_INTR) die("dump");
        }
    }
}

int main(int argc, char **argv) {
    int repeat = argc > 1 ? count_of(argv[1]) : 11;
    int netlink = open_rtnetlink();
    double elapsed[repeat];
    for (int i = 0; i < repeat; i++) {
        double start = seconds();
        dump(netlink);
        elapsed[i] = seconds() - start;
    }
    qsort(elapsed, repeat, sizeof *elapsed, compare_doubles);
    printf("%.6f\n", elapsed[repeat / 2]);
}
