// Opens a queue of a brokered tap as Tapster does for a consumer.
#pragma once

#include "common.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

enum { vnet_header_bytes = 12 };

static inline int open_queue(const char *name) {
    struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_MULTI_QUEUE | IFF_NO_PI | IFF_VNET_HDR)};
    snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    int queue = check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun");
    check(ioctl(queue, TUNSETIFF, &request), "TUNSETIFF");
    return queue;
}

// Opens all queues of a device, and resets the settings that a consumer may have changed.
static inline void open_queues(const char *name, int *queues, int count) {
    int header = vnet_header_bytes;
    for (int i = 0; i < count; i++) queues[i] = open_queue(name);
    check(ioctl(queues[0], TUNSETVNETHDRSZ, &header), "TUNSETVNETHDRSZ");
    check(ioctl(queues[0], TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)), "TUNSETOFFLOAD");
}
