// An rtnetlink socket for requests, with the options of Tapster's (NetlinkSocket.swift).
#pragma once

#include "common.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

static inline int open_rtnetlink(void) {
    int one = 1;
    int options[] = {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK};
    int netlink = check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "rtnetlink socket");
    for (int i = 0; i < 3; i++)
        check(setsockopt(netlink, SOL_NETLINK, options[i], &one, sizeof one), "rtnetlink option");
    return netlink;
}

// Reads replies until the request with this sequence number is acknowledged; any refused request ends the program.
static inline void expect_acknowledgement(int netlink, unsigned sequence, const char *what) {
    struct { struct nlmsghdr header; struct nlmsgerr result; char words[1024]; } answer;
    do {
        check(recv(netlink, &answer, sizeof answer, MSG_TRUNC), what);
        if (answer.header.nlmsg_type != NLMSG_ERROR) die(what);
        errno = -answer.result.error;
        if (errno != 0) die(what);
    } while (answer.header.nlmsg_seq != sequence);
}
