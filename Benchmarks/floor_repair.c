// floor_repair COMMAND [ARGUMENT…]: executes COMMAND; until that ends, a child repairs the namespace's interfaces.
//
// The floor for Tapster's repairs: receives a notification of a link, reads the link, and restores its former fields.
#include "link.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { index_max = 65535 };

static struct link found[index_max + 1];

static void find_links(int netlink) {
    struct if_nameindex *names = if_nameindex();
    if (names == NULL) die("if_nameindex");
    for (struct if_nameindex *name = names; name->if_index != 0; name++)
        if (name->if_index <= index_max) found[name->if_index] = get_link(netlink, (int)name->if_index);
    if_freenameindex(names);
}

static void repair(int netlink, int index) {
    struct link link = get_link(netlink, index);
    for (enum field field = 0; field < field_count; field++) {
        if (is_equal(field, &link, &found[index])) continue;
        send_change(netlink, field, &found[index]);
        expect_acknowledgement(netlink, change_sequence, "RTM_SETLINK");
    }
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: floor_repair COMMAND [ARGUMENT...]\n");
        return 2;
    }
    int monitor = open_monitor(), netlink = open_rtnetlink();
    find_links(netlink);
    pid_t command = getpid();
    if (check(fork(), "fork") > 0) {
        execvp(argv[1], argv + 1);
        die(argv[1]);
    }
    check(prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
    while (getppid() == command) {
        int index = hear(monitor).index;
        if (index <= index_max && found[index].index == index) repair(netlink, index);
    }
}
