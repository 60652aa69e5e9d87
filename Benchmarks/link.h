// Reads interfaces from rtnetlink and changes single fields, for the measure of repairs.
#pragma once

#include "rtnetlink.h"

#include <net/if.h>
#include <stdbool.h>

enum field { field_mtu, field_queue_length, field_address, field_up, field_count };

struct link {
    int index;
    unsigned mtu, queue_length;
    // A tap's queues: the attached ones, to which the kernel steers, and the detached ones.
    unsigned attached, detached;
    unsigned char address[6];
    bool up;
};

// Reads the attributes of a multiqueue tun or tap device, which are nested twice.
static inline void read_queues(struct rtattr *outer, struct link *link) {
    unsigned left = RTA_PAYLOAD(outer);
    for (struct rtattr *item = RTA_DATA(outer); RTA_OK(item, left); item = RTA_NEXT(item, left)) {
        if (item->rta_type != IFLA_INFO_DATA) continue;
        unsigned inner_left = RTA_PAYLOAD(item);
        for (struct rtattr *inner = RTA_DATA(item); RTA_OK(inner, inner_left); inner = RTA_NEXT(inner, inner_left)) {
            if (inner->rta_type == IFLA_TUN_NUM_QUEUES) memcpy(&link->attached, RTA_DATA(inner), 4);
            if (inner->rta_type == IFLA_TUN_NUM_DISABLED_QUEUES) memcpy(&link->detached, RTA_DATA(inner), 4);
        }
    }
}

// Reads an RTM_NEWLINK.
static inline struct link link_of(struct nlmsghdr *message) {
    struct ifinfomsg *interface = NLMSG_DATA(message);
    struct link link = {.index = interface->ifi_index, .up = interface->ifi_flags & IFF_UP};
    unsigned left = IFLA_PAYLOAD(message);
    struct rtattr *attribute = IFLA_RTA(interface);
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        void *value = RTA_DATA(attribute);
        if (attribute->rta_type == IFLA_MTU) memcpy(&link.mtu, value, sizeof link.mtu);
        if (attribute->rta_type == IFLA_TXQLEN) memcpy(&link.queue_length, value, sizeof link.queue_length);
        if (attribute->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(attribute) == sizeof link.address)
            memcpy(link.address, value, sizeof link.address);
        if (attribute->rta_type == IFLA_LINKINFO) read_queues(attribute, &link);
    }
    return link;
}

static inline bool is_equal(enum field field, const struct link *left, const struct link *right) {
    switch (field) {
    case field_mtu: return left->mtu == right->mtu;
    case field_queue_length: return left->queue_length == right->queue_length;
    case field_address: return memcmp(left->address, right->address, sizeof left->address) == 0;
    default: return left->up == right->up;
    }
}

static inline struct link get_link(int netlink, int index) {
    static _Alignas(NLMSG_ALIGNTO) char answer[16384];
    struct {
        struct nlmsghdr header;
        struct ifinfomsg interface;
        struct rtattr mask_header;
        unsigned mask;
    } request = {
        .header = {sizeof request, RTM_GETLINK, NLM_F_REQUEST, 1, 0},
        .interface = {.ifi_index = index},
        .mask_header = {sizeof(struct rtattr) + sizeof(unsigned), IFLA_EXT_MASK},
        .mask = RTEXT_FILTER_SKIP_STATS,
    };
    check(send(netlink, &request, sizeof request, 0), "RTM_GETLINK");
    check(recv(netlink, answer, sizeof answer, 0), "RTM_GETLINK");
    struct nlmsghdr *message = (struct nlmsghdr *)answer;
    if (message->nlmsg_type != RTM_NEWLINK) die("RTM_GETLINK");
    return link_of(message);
}

enum { change_sequence = 2 };

// Requests that one field be set as in `wanted`; the caller reads the acknowledgement.
static inline void send_change(int netlink, enum field field, const struct link *wanted) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg interface;
        struct rtattr attribute;
        union { unsigned number; unsigned char address[8]; } value;
    } request = {
        .header = {sizeof request, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, change_sequence, 0},
        .interface = {.ifi_index = wanted->index},
        .attribute = {sizeof(struct rtattr) + sizeof(unsigned), 0},
    };
    switch (field) {
    case field_mtu:
        request.attribute.rta_type = IFLA_MTU;
        request.value.number = wanted->mtu;
        break;
    case field_queue_length:
        request.attribute.rta_type = IFLA_TXQLEN;
        request.value.number = wanted->queue_length;
        break;
    case field_address:
        request.attribute.rta_type = IFLA_ADDRESS;
        request.attribute.rta_len = sizeof(struct rtattr) + sizeof wanted->address;
        memcpy(request.value.address, wanted->address, sizeof wanted->address);
        break;
    default:
        request.interface.ifi_flags = wanted->up ? IFF_UP : 0;
        request.interface.ifi_change = IFF_UP;
        request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.interface);
    }
    check(send(netlink, &request, request.header.nlmsg_len, 0), "RTM_SETLINK");
}

// Opens a socket that receives every change to an interface of the namespace. Its buffer is as large as Tapster's,
// since the kernel reports the state of all new interfaces at once.
static inline int open_monitor(void) {
    int buffer_bytes = 8 << 20;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int monitor = check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "rtnetlink socket");
    check(setsockopt(monitor, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes), "SO_RCVBUFFORCE");
    check(bind(monitor, (struct sockaddr *)&address, sizeof address), "RTMGRP_LINK");
    return monitor;
}

// Waits for the next RTM_NEWLINK, which is the only message in its datagram.
static inline struct link hear(int monitor) {
    static _Alignas(NLMSG_ALIGNTO) char datagram[16384];
    struct nlmsghdr *message = (struct nlmsghdr *)datagram;
    do check(recv(monitor, datagram, sizeof datagram, 0), "waiting for a change of a link");
    while (message->nlmsg_type != RTM_NEWLINK);
    return link_of(message);
}
