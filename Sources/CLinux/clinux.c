#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>

int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

int clinux_open_at(int directory, const char *name, int flags, mode_t mode) {
    return openat(directory, name, flags, mode);
}

int clinux_start_thread(void *(*run)(void *), void *context) {
    pthread_attr_t attributes;
    int result = pthread_attr_init(&attributes);
    if (result != 0) return result;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    // Signals sent to the process go to the thread that waits for them; a crash's signals stay, for its report.
    sigset_t blocked, previous;
    sigfillset(&blocked);
    const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++) sigdelset(&blocked, synchronous[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &previous);
    pthread_t thread;
    result = pthread_create(&thread, &attributes, run, context);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    pthread_attr_destroy(&attributes);
    return result;
}

void clinux_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

const char *clinux_error_name(int number) { return strerrorname_np(number); }

void clinux_error_text(int number, char *text, size_t bytes) {
    char buffer[128];
    snprintf(text, bytes, "%s", strerror_r(number, buffer, sizeof buffer));
}

static void set_name(struct ifreq *request, const char *name) {
    memset(request, 0, sizeof *request);
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
}

int clinux_tun_set_interface(int fd, const char *name, uint16_t flags) {
    struct ifreq request;
    set_name(&request, name);
    request.ifr_flags = (short)flags;
    return ioctl(fd, TUNSETIFF, &request);
}

int clinux_tun_set_queue(int fd, uint16_t flags) {
    struct ifreq request;
    set_name(&request, "");
    request.ifr_flags = (short)flags;
    return ioctl(fd, TUNSETQUEUE, &request);
}

int clinux_tun_set_persist(int fd, int on) { return ioctl(fd, TUNSETPERSIST, (unsigned long)on); }
int clinux_tun_set_owner(int fd, uid_t owner) { return ioctl(fd, TUNSETOWNER, (unsigned long)owner); }
int clinux_tun_set_group(int fd, gid_t group) { return ioctl(fd, TUNSETGROUP, (unsigned long)group); }
int clinux_tun_set_offload(int fd, uint32_t offloads) { return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads); }
int clinux_tun_set_vnet_header_size(int fd, int bytes) { return ioctl(fd, TUNSETVNETHDRSZ, &bytes); }
int clinux_tun_get_vnet_header_size(int fd, int *bytes) { return ioctl(fd, TUNGETVNETHDRSZ, bytes); }
int clinux_tun_get_features(int fd, unsigned int *features) { return ioctl(fd, TUNGETFEATURES, features); }

int clinux_tun_set_send_buffer(int fd, int bytes) { return ioctl(fd, TUNSETSNDBUF, &bytes); }

// EINVAL: a tun device has no filters, and some kernels have no foreign byte order.
static int where_supported(int result) { return result == 0 || errno == EINVAL ? 0 : -1; }

int clinux_tun_clear_filters(int fd) {
    struct tun_filter all_addresses = {0};
    struct sock_fprog unused = {0};
    int no_program = -1;
    if (where_supported(ioctl(fd, TUNSETTXFILTER, &all_addresses)) != 0) return -1;
    if (where_supported(ioctl(fd, TUNDETACHFILTER, &unused)) != 0) return -1;
    if (where_supported(ioctl(fd, TUNSETSTEERINGEBPF, &no_program)) != 0) return -1;
    return where_supported(ioctl(fd, TUNSETFILTEREBPF, &no_program));
}

int clinux_tun_reset(int fd) {
    int native_order = 0, unlimited = INT_MAX;
    if (clinux_tun_clear_filters(fd) != 0) return -1;
    if (where_supported(ioctl(fd, TUNSETVNETLE, &native_order)) != 0) return -1;
    if (where_supported(ioctl(fd, TUNSETVNETBE, &native_order)) != 0) return -1;
    return ioctl(fd, TUNSETSNDBUF, &unlimited);
}

int clinux_tun_get_interface(int fd, char name[IFNAMSIZ], uint16_t *flags) {
    struct ifreq request;
    set_name(&request, "");
    int result = ioctl(fd, TUNGETIFF, &request);
    memcpy(name, request.ifr_name, IFNAMSIZ);
    *flags = (uint16_t)request.ifr_flags;
    return result;
}

int clinux_interface_index(int socket, const char *name, int *index) {
    struct ifreq request;
    set_name(&request, name);
    int result = ioctl(socket, SIOCGIFINDEX, &request);
    *index = request.ifr_ifindex;
    return result;
}

int clinux_interface_name(int socket, int index, char name[IFNAMSIZ]) {
    struct ifreq request;
    set_name(&request, "");
    request.ifr_ifindex = index;
    int result = ioctl(socket, SIOCGIFNAME, &request);
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return result;
}

static int ethtool_value(int socket, const char *name, uint32_t command, uint32_t *value) {
    struct ethtool_value question = {.cmd = command};
    struct ifreq request;
    set_name(&request, name);
    request.ifr_data = (void *)&question;
    int result = ioctl(socket, SIOCETHTOOL, &request);
    *value = question.data;
    return result;
}

int clinux_tun_offloads(int socket, const char *name, uint32_t *offloads) {
    uint32_t checksum, segmentation;
    if (ethtool_value(socket, name, ETHTOOL_GTXCSUM, &checksum) != 0) return -1;
    if (ethtool_value(socket, name, ETHTOOL_GTSO, &segmentation) != 0) return -1;
    *offloads = (checksum ? TUN_F_CSUM : 0) | (segmentation ? TUN_F_TSO4 | TUN_F_TSO6 : 0);
    return 0;
}

int clinux_unread_bytes(int socket) {
    int bytes = 0;
    return ioctl(socket, SIOCOUTQ, &bytes) == 0 ? bytes : -1;
}

int clinux_namespace_cookie(int socket, uint64_t *cookie) {
    socklen_t length = sizeof *cookie;
    return getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &length);
}

int clinux_unshare_network(void) { return unshare(CLONE_NEWNET); }

int clinux_unshare_mounts(void) {
    return unshare(CLONE_NEWNS) == 0 ? mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) : -1;
}
int clinux_enter_network(int fd) { return setns(fd, CLONE_NEWNET); }

int clinux_network_inode(const char *path, uint64_t *inode) {
    struct statfs filesystem;
    struct stat status;
    if (statfs(path, &filesystem) != 0 || stat(path, &status) != 0) return -1;
    if (filesystem.f_type != NSFS_MAGIC) {
        errno = ENOTTY;
        return -1;
    }
    *inode = status.st_ino;
    return 0;
}

int clinux_open_network(const char *path, uint64_t *inode) {
    int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0) return -1;
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", place);
    int fd = clinux_network_inode(link, inode) == 0 ? open(link, O_RDONLY | O_CLOEXEC) : -1;
    int reason = errno;
    close(place);
    int type = fd >= 0 ? ioctl(fd, NS_GET_NSTYPE) : CLONE_NEWNET;
    if (type != CLONE_NEWNET) {
        reason = type < 0 ? errno : ENOTTY;
        close(fd);
        fd = -1;
    }
    errno = reason;
    return fd;
}

int clinux_raise_descriptor_limit(uint64_t *limit) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return -1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) return -1;
    *limit = files.rlim_cur;
    return 0;
}

// The kernel's limit of descriptors in one message (net/scm.h).
#define SCM_MAX_FD 253

ssize_t clinux_send_descriptors(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t count, int flags) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SCM_MAX_FD * sizeof(int))];
    } control;
    struct iovec data = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (count > SCM_MAX_FD) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

ssize_t clinux_receive_descriptors(
    int socket, void *bytes, size_t length, int *descriptors, size_t *count, pid_t *sender, int flags,
    int *message_flags) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(SCM_MAX_FD * sizeof(int))];
    } control;
    size_t room = *count;
    *count = 0;
    if (room > SCM_MAX_FD) room = SCM_MAX_FD;
    struct iovec data = {.iov_base = bytes, .iov_len = length};
    // CMSG_LEN, since CMSG_SPACE rounds up and would have room for one descriptor more than the caller.
    struct msghdr message = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = (sender ? CMSG_SPACE(sizeof(struct ucred)) : 0) + CMSG_LEN(room * sizeof(int)),
    };
    ssize_t result = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (result < 0) return result;
    *message_flags = message.msg_flags;
    if (sender) *sender = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET) continue;
        if (part->cmsg_type == SCM_RIGHTS) {
            const int *came = (const int *)CMSG_DATA(part);
            for (size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                if (*count < room) {
                    descriptors[(*count)++] = came[i];
                } else {
                    // Without credentials, more descriptors fit into the buffer than the caller accepts.
                    close(came[i]);
                    *message_flags |= MSG_CTRUNC;
                }
            }
        } else if (part->cmsg_type == SCM_CREDENTIALS && sender) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
            *sender = credentials.pid;
        }
    }
    return result;
}

int clinux_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int clinux_mount_sysfs(void) {
    int filesystem = fsopen("sysfs", FSOPEN_CLOEXEC);
    if (filesystem < 0) return -1;
    int mount = -1;
    if (fsconfig(filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        mount = fsmount(filesystem, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    }
    int reason = errno;
    close(filesystem);
    errno = reason;
    return mount;
}

int clinux_errno(void) { return errno; }
