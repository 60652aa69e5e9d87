// floor_lease COUNT QUEUES: opens the queues of the taps b0, b1, …, passes them to another process, and prints the 50th
// and the 99th percentile of the milliseconds from the first open until that process has acknowledged them.
//
// The floor for a lease: the necessary system calls, and one switch to the other process and back.
#include "lease.h"
#include "tun_queue.h"

static void receive(int connection) {
    char byte;
    // The queues stay open, as in a consumer.
    for (int count = 0, queues[lease_queues_max];; count = 0) {
        if (receive_with_queues(connection, &byte, 1, queues, &count) <= 0) exit(0);
        check((int)send(connection, &byte, 1, MSG_NOSIGNAL), "answer");
    }
}

static void pass_on(int connection, int *queues, int count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(lease_queues_max * sizeof(int))] = {0};
    char line[160] = "{}";
    struct iovec part = {line, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *item = CMSG_FIRSTHDR(&message);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(item), queues, (size_t)count * sizeof(int));
    check((int)sendmsg(connection, &message, MSG_NOSIGNAL), "sendmsg");
    check((int)recv(connection, line, 1, 0), "answer");
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor_lease COUNT QUEUES\n");
        return 2;
    }
    int count = count_of(argv[1]), queue_count = count_of(argv[2]), ends[2];
    double *elapsed = calloc((size_t)count, sizeof *elapsed);
    if (elapsed == NULL || queue_count > lease_queues_max) die("memory");
    raise_descriptor_limit();
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
    if (check(fork(), "fork") == 0) {
        close(ends[0]);
        receive(ends[1]);
    }
    close(ends[1]);
    for (int i = 0; i < count; i++) {
        char name[IFNAMSIZ];
        int queues[lease_queues_max];
        snprintf(name, sizeof name, "b%d", i);
        double start = seconds();
        open_queues(name, queues, queue_count);
        pass_on(ends[0], queues, queue_count);
        elapsed[i] = (seconds() - start) * 1e3;
    }
    qsort(elapsed, (size_t)count, sizeof *elapsed, compare_doubles);
    printf("%.4f %.4f\n", percentile(elapsed, count, 50), percentile(elapsed, count, 99));
}
