// floor_delete COUNT: deletes the COUNT interfaces b0, b1, … together, and prints the seconds.
//
// The floor for Tapster's prune: moves all interfaces to a group, with many requests in one send, and deletes the group
// with one request. Deleted one by one, each interface would wait for the kernel's readers (RCU) separately.
#include "rtnetlink.h"

#include <net/if.h>

enum { doomed_group = 7, requests_per_send_max = 100 };

struct request {
    struct nlmsghdr header;
    struct ifinfomsg interface;
    struct rtattr group_header;
    unsigned group;
};

// The kernel answers only refused requests, unless NLM_F_ACK is set.
static struct request group_request(int type, int index) {
    return (struct request){
        .header = {sizeof(struct request), (unsigned short)type, NLM_F_REQUEST, 0, 0},
        .interface = {.ifi_index = index},
        .group_header = {sizeof(struct rtattr) + sizeof(unsigned), IFLA_GROUP},
        .group = doomed_group,
    };
}

static void send_requests(int netlink, struct request *requests, int count, const char *what) {
    requests[count - 1].header.nlmsg_flags |= NLM_F_ACK;
    requests[count - 1].header.nlmsg_seq = 1;
    check(send(netlink, requests, count * sizeof *requests, 0), what);
    expect_acknowledgement(netlink, 1, what);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: floor_delete COUNT\n");
        return 2;
    }
    int count = count_of(argv[1]);
    int netlink = open_rtnetlink();
    struct request *joins = calloc(count, sizeof *joins);
    for (int number = 0; number < count; number++) {
        char name[IFNAMSIZ];
        snprintf(name, sizeof name, "b%d", number);
        int index = (int)if_nametoindex(name);
        if (index == 0) die(name);
        joins[number] = group_request(RTM_SETLINK, index);
    }
    double start = seconds();
    for (int done = 0; done < count; done += requests_per_send_max) {
        int left = count - done, together = left < requests_per_send_max ? left : requests_per_send_max;
        send_requests(netlink, joins + done, together, "RTM_SETLINK");
    }
    struct request deletion = group_request(RTM_DELLINK, 0);
    send_requests(netlink, &deletion, 1, "RTM_DELLINK");
    printf("%.6f\n", seconds() - start);
}
