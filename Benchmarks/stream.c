// stream SOCKET QUEUES SECONDS: leases the queues of the tap b0 and sends 20,000 numbered packets per second through
// them, in 64 flows. Prints the numbers of packets sent, of packets lost, of packets that arrived on another queue than
// their flow's previous one, and of queues on which packets arrived, and the longest time between two reads, in
// milliseconds.
//
// The packets are sent from the host's side, and a thread reads all queues as fast as it can. Each queue's ring holds
// 1,000 packets, so a reader that pauses for 0.2 s loses packets, whatever the daemon does.
#define _GNU_SOURCE
#include "lease.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    packets_per_second = 20000, flows = 64, seconds_max = 600,
    tick_nanoseconds = 1000000, packets_per_tick = packets_per_second / 1000,
    // Limits the burst with which a late sender catches up.
    packets_per_tick_max = 2 * packets_per_tick,
    header_bytes = 12, drain_milliseconds = 500, ours = 0x7a57e12,
};

static const char device[] = "b0";

struct __attribute__((packed)) packet {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct udphdr udp;
    unsigned mark, number;
    char padding[64];
};

static struct lease lease;
static unsigned char *arrived;
static unsigned numbers;
static int arrived_on[flows];
static unsigned moved, twice;
static bool used[lease_queues_max];
static double longest_pause;
static atomic_bool ends;

// Whether a packet is one of this program: the kernel sends packets too, such as neighbour discovery.
static void take(const struct packet *packet, ssize_t length, int queue) {
    if (length < (ssize_t)sizeof *packet || packet->mark != ours || packet->number >= numbers) return;
    int *before = &arrived_on[packet->number % flows];
    if (*before >= 0 && *before != queue) moved++;
    *before = queue;
    used[queue] = true;
    if (arrived[packet->number]++) twice++;
}

static void *read_queues(void *unused) {
    struct pollfd polled[lease_queues_max];
    static char bytes[header_bytes + 65536];
    double last = seconds();
    for (int i = 0; i < lease.queue_count; i++) polled[i] = (struct pollfd){.fd = lease.queues[i], .events = POLLIN};
    while (poll(polled, (nfds_t)lease.queue_count, drain_milliseconds) > 0 || !atomic_load(&ends)) {
        double now = seconds();
        if (now - last > longest_pause && !atomic_load(&ends)) longest_pause = now - last;
        last = now;
        for (int i = 0; i < lease.queue_count; i++) {
            if (polled[i].revents & (POLLERR | POLLHUP)) die("a queue");
            if (!polled[i].revents) continue;
            for (ssize_t length; (length = read(polled[i].fd, bytes, sizeof bytes)) > 0;)
                take((struct packet *)(bytes + header_bytes), length - header_bytes, i);
        }
    }
    return unused;
}

// The checksums are not set, since no receiver checks them.
static struct packet packet_of(unsigned number) {
    return (struct packet){
        .ethernet = {.h_dest = {2, 0, 0, 0, 0, 1}, .h_source = {2, 0, 0, 0, 0, 2}, .h_proto = htons(ETH_P_IP)},
        .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
               .tot_len = htons(sizeof(struct packet) - sizeof(struct ethhdr)),
               .saddr = htonl(0xc6120001), .daddr = htonl(0xc6130000 + number % flows)},
        .udp = {.source = htons(10000 + number % flows), .dest = htons(9),
                .len = htons(sizeof(struct packet) - sizeof(struct ethhdr) - sizeof(struct iphdr))},
        .mark = ours, .number = number,
    };
}

static unsigned send_packets(int sender, unsigned first, unsigned count) {
    struct packet packets[packets_per_tick_max];
    struct iovec parts[packets_per_tick_max];
    struct mmsghdr messages[packets_per_tick_max] = {0};
    for (unsigned i = 0; i < count; i++) {
        packets[i] = packet_of(first + i);
        parts[i] = (struct iovec){&packets[i], sizeof packets[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(sender, messages + done, count - done, 0);
        // A full ring drops one packet, which is counted as lost.
        if (sent < 0 && errno != ENOBUFS) die("sendmmsg");
        done += sent < 0 ? 1 : (unsigned)sent;
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: stream SOCKET QUEUES SECONDS\n");
        return 2;
    }
    int queues = count_of(argv[2]), duration = count_of(argv[3]), on = 0;
    double sent_time;
    if (duration > seconds_max || take_lease(argv[1], device, &lease, &sent_time) != 101 ||
        lease.queue_count != queues) {
        fprintf(stderr, "%s is not leased\n", device);
        return 1;
    }
    numbers = (unsigned)duration * packets_per_second;
    arrived = calloc(numbers, 1);
    if (arrived == NULL) die("memory");
    for (int i = 0; i < flows; i++) arrived_on[i] = -1;
    // Protocol 0: the socket sends, but receives no packets.
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
    int sender = check(socket(AF_PACKET, SOCK_RAW, 0), "AF_PACKET");
    check(bind(sender, (struct sockaddr *)&address, sizeof address), device);
    pthread_t reader;
    if (pthread_create(&reader, NULL, read_queues, NULL) != 0) die("thread");

    struct timespec tick;
    clock_gettime(CLOCK_MONOTONIC, &tick);
    double start = seconds();
    for (unsigned number = 0; number < numbers;) {
        double due = (seconds() - start) * packets_per_second - number;
        unsigned count = due < 0 ? 0 : due > packets_per_tick_max ? packets_per_tick_max : (unsigned)due;
        if (count > numbers - number) count = numbers - number;
        number += send_packets(sender, number, count);
        tick.tv_nsec += tick_nanoseconds;
        tick.tv_sec += tick.tv_nsec / 1000000000;
        tick.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &tick, NULL);
    }
    atomic_store(&ends, true);
    pthread_join(reader, NULL);
    unsigned lost = 0;
    for (unsigned number = 0; number < numbers; number++) lost += !arrived[number];
    for (int i = 0; i < queues; i++) on += used[i];
    if (twice > 0) {
        fprintf(stderr, "%u packets arrived twice\n", twice);
        return 1;
    }
    printf("%u %u %u %d %.1f\n", numbers, lost, moved, on, longest_pause * 1e3);
}
