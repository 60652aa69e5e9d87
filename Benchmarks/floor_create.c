// floor_create COUNT [DATABASE]: creates COUNT persistent multiqueue taps, b0, b1, …, and prints the seconds.
//
// The floor for Tapster's convergence: the system calls of its worker for a brokered tap with four queues, in the same
// order, and no others. (Queues are opened when they are leased, so none stays open here either. Tapster also reads two
// settings back and receives a notification of each change; the floor does not.) With DATABASE there is one durable
// commit before each device, since each is posted and acknowledged separately.
#include "rtnetlink.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef IFF_NO_CARRIER
#define IFF_NO_CARRIER 0x0040
#endif

enum { stored_bytes = 500, vnet_header_bytes = 12 };

// Sets the qdisc before the first ifup, which would otherwise create 256 of them. Both requests share one send.
static struct {
    struct {
        struct nlmsghdr header;
        struct tcmsg traffic;
        struct rtattr kind_header;
        char kind[sizeof "noqueue"];
    } qdisc;
    struct {
        struct nlmsghdr header;
        struct ifinfomsg interface;
        struct rtattr address_header;
        unsigned char address[6], padding[2];
    } link;
} change = {
    .qdisc = {
        .header = {sizeof change.qdisc, RTM_NEWQDISC, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, 1, 0},
        .traffic = {.tcm_parent = TC_H_ROOT},
        .kind_header = {sizeof(struct rtattr) + sizeof "noqueue", TCA_KIND},
        .kind = "noqueue",
    },
    .link = {
        .header = {sizeof change.link, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 2, 0},
        .interface = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP},
        .address_header = {sizeof(struct rtattr) + 6, IFLA_ADDRESS},
        .address = {0x02},  // locally administered; the device's number follows
    },
};

static void set_link(int netlink, int index, int number) {
    change.qdisc.traffic.tcm_ifindex = index;
    change.link.interface.ifi_index = index;
    memcpy(change.link.address + 2, &number, sizeof number);
    check(send(netlink, &change, sizeof change, 0), "RTM_NEWQDISC and RTM_SETLINK");
    expect_acknowledgement(netlink, change.link.header.nlmsg_seq, "RTM_NEWQDISC and RTM_SETLINK");
}

static void create(int netlink, int number) {
    struct ifreq request = {0};
    snprintf(request.ifr_name, IFNAMSIZ, "b%d", number);
    request.ifr_flags = (short)(IFF_TAP | IFF_MULTI_QUEUE | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL | IFF_NO_CARRIER);
    int header = vnet_header_bytes;
    int tun = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
    check(ioctl(tun, TUNSETIFF, &request), "TUNSETIFF");
    check(ioctl(netlink, SIOCGIFINDEX, &request), "SIOCGIFINDEX");
    check(ioctl(tun, TUNSETOWNER, 0UL), "TUNSETOWNER");
    check(ioctl(tun, TUNSETVNETHDRSZ, &header), "TUNSETVNETHDRSZ");
    check(ioctl(tun, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)), "TUNSETOFFLOAD");
    check(ioctl(tun, TUNSETPERSIST, 1UL), "TUNSETPERSIST");
    set_link(netlink, request.ifr_ifindex, number);
    close(tun);
}

static sqlite3 *database;
static sqlite3_stmt *begin, *insert, *commit;

static void database_check(int result) {
    if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE) return;
    fprintf(stderr, "SQLite: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static void open_database(const char *path) {
    static char spec[stored_bytes];
    memset(spec, 'x', sizeof spec);
    database_check(sqlite3_open(path, &database));
    database_check(sqlite3_exec(database,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE device (name INTEGER PRIMARY KEY, spec TEXT NOT NULL) STRICT", NULL, NULL, NULL));
    database_check(sqlite3_prepare_v2(database, "BEGIN IMMEDIATE", -1, &begin, NULL));
    database_check(sqlite3_prepare_v2(database, "INSERT INTO device VALUES (?, ?)", -1, &insert, NULL));
    database_check(sqlite3_prepare_v2(database, "COMMIT", -1, &commit, NULL));
    database_check(sqlite3_bind_text(insert, 2, spec, sizeof spec, SQLITE_STATIC));
}

static void run(sqlite3_stmt *statement) {
    database_check(sqlite3_step(statement));
    database_check(sqlite3_reset(statement));
}

static void store(int number) {
    database_check(sqlite3_bind_int(insert, 1, number));
    run(begin);
    run(insert);
    run(commit);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: floor_create COUNT [DATABASE]\n");
        return 2;
    }
    int count = count_of(argv[1]);
    int netlink = open_rtnetlink();
    if (argc == 3) open_database(argv[2]);
    double start = seconds();
    for (int number = 0; number < count; number++) {
        if (database != NULL) store(number);
        create(netlink, number);
    }
    printf("%.6f\n", seconds() - start);
}
