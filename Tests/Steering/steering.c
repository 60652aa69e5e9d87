#define _GNU_SOURCE
#include "steering.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int steering_by_mark(int queue) {
    // return context->mark;
    const struct bpf_insn program[] = {
        {
            .code = BPF_LDX | BPF_MEM | BPF_W,
            .dst_reg = BPF_REG_0,
            .src_reg = BPF_REG_1,
            .off = offsetof(struct __sk_buff, mark),
        },
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
        .insns = (uintptr_t)program,
        .insn_cnt = sizeof program / sizeof *program,
        .license = (uintptr_t)"",
    };
    int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (loaded < 0) return -1;
    int result = ioctl(queue, TUNSETSTEERINGEBPF, &loaded);
    int reason = errno;
    // The device has its own reference to the program.
    close(loaded);
    errno = reason;
    return result;
}

int steering_open(int interface_index) {
    // Protocol 0: the socket sends, but receives no packets.
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = interface_index};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int steering_send(int fd, uint32_t mark, const void *frame, size_t length) {
    if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return -1;
    return send(fd, frame, length, 0) == (ssize_t)length ? 0 : -1;
}

int steering_get_send_buffer(int queue, int *bytes) { return ioctl(queue, TUNGETSNDBUF, bytes); }

int steering_filter_addresses(int queue) {
    // One address that no packet has. The structure ends in an array of addresses.
    struct { struct tun_filter head; unsigned char address[6]; } filter = {
        .head = {.flags = 0, .count = 1}, .address = {2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE},
    };
    // The kernel returns the number of addresses.
    return ioctl(queue, TUNSETTXFILTER, &filter) == 1 ? 0 : -1;
}

int steering_control(int queue, unsigned long request, unsigned long argument) {
    return ioctl(queue, request, argument);
}

int steering_filter_packets(int queue) {
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    return ioctl(queue, TUNATTACHFILTER, &program);
}

int steering_limit_sending(int queue) {
    int bytes = 1;
    return ioctl(queue, TUNSETSNDBUF, &bytes);
}

int steering_set_address(int queue, const uint8_t address[6]) {
    struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
    memcpy(request.ifr_hwaddr.sa_data, address, 6);
    return ioctl(queue, SIOCSIFHWADDR, &request);
}

int steering_set_little_endian(int queue) {
    int yes = 1;
    return ioctl(queue, TUNSETVNETLE, &yes);
}

int steering_is_little_endian(int queue, int *is_set) { return ioctl(queue, TUNGETVNETLE, is_set); }
