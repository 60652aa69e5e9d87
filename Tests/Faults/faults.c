#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Memory shared with the test.
static struct faults_control *control;
// The file that records operations on the database's files; −1 for none.
static int record = -1;
static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("TAPSTER_TEST_RECORD");
    if (log) {
        record = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record < 0) abort();
    }
    const char *path = getenv("TAPSTER_TEST_FAULTS");
    if (!path) return;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (memory == MAP_FAILED) abort();
    close((int)fd);
    control = memory;
}

// Whether a fault of this kind is armed. Checked first, so that other calls need not inspect the descriptor.
static bool is_armed(const char *kind) {
    return control && __atomic_load_n(&control->armed, __ATOMIC_ACQUIRE) && strcmp(control->kind, kind) == 0;
}

// Counts a call of this kind; returns whether it must fail, with errno set.
static bool fails(const char *kind) {
    if (!is_armed(kind)) return false;
    uint32_t call = __atomic_add_fetch(&control->calls, 1, __ATOMIC_ACQ_REL);
    if (call < control->first || (control->count && call - control->first >= control->count)) return false;
    errno = control->error;
    __atomic_add_fetch(&control->struck, 1, __ATOMIC_ACQ_REL);
    return true;
}

// MARK: libmicrohttpd

const char *MHD_get_version(void) {
    const char *version = getenv("TAPSTER_TEST_HTTP_VERSION");
    if (version) return version;
    const char *(*own)(void) = (const char *(*)(void))dlsym(RTLD_NEXT, "MHD_get_version");
    return own ? own() : "";
}

// MARK: Files

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static const char *kind_of_open(const char *path) {
    if (strcmp(path, "/dev/net/tun") == 0) return "open_tun";
    // The daemon first checks a namespace by an O_PATH descriptor, and then opens that through /proc/self/fd.
    if (ends_with(path, "/ns/net") || strncmp(path, "/proc/self/fd/", 14) == 0) return "open_namespace";
    return "open";
}

// MARK: The record

// The kind of database file of a path (see `faults_entry`); 0 for any other file.
static char file_of_path(const char *path) {
    if (ends_with(path, ".db")) return 'd';
    if (ends_with(path, ".db-wal")) return 'w';
    if (ends_with(path, ".db-journal")) return 'j';
    return 0;
}

// The same for a descriptor, and 'f' for a folder.
static char file_of_descriptor(int fd) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) return 'f';
    return file_of_path(path);
}

// Called with `recording` locked, so that the record has the operations in their order.
static void note(char operation, char file, off_t offset, const void *bytes, size_t count) {
    struct faults_entry entry = {.operation = operation, .file = file, .count = (uint32_t)count, .offset = offset};
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)bytes, bytes ? count : 0}};
    if (syscall(SYS_writev, record, parts, 2) < 0) abort();
    // At this point the record and the files agree.
    if (fails("die")) kill(getpid(), SIGKILL);
}

static int open_file(const char *path, int flags, mode_t mode) {
    if (fails(kind_of_open(path))) return -1;
    char file = record >= 0 && (flags & O_CREAT) ? file_of_path(path) : 0;
    if (!file) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&recording);
    bool is_new = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int reason = errno;
    if (fd >= 0 && is_new) note('c', file, 0, NULL, 0);
    pthread_mutex_unlock(&recording);
    errno = reason;
    return fd;
}

int unlink(const char *path) {
    char file = record >= 0 ? file_of_path(path) : 0;
    if (!file) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&recording);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int reason = errno;
    if (result == 0) note('u', file, 0, NULL, 0);
    pthread_mutex_unlock(&recording);
    errno = reason;
    return result;
}

#define OPEN(name)                                        \
    int name(const char *path, int flags, ...) {          \
        va_list arguments;                                \
        va_start(arguments, flags);                       \
        mode_t mode = 0;                                  \
        if (flags & (O_CREAT | __O_TMPFILE)) mode = va_arg(arguments, mode_t); \
        va_end(arguments);                                \
        return open_file(path, flags, mode);              \
    }
OPEN(open)
OPEN(open64)

static bool is_database(int fd) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = 0;
    return ends_with(path, ".db") || ends_with(path, ".db-wal") || ends_with(path, ".db-journal");
}

static bool database_fails(const char *kind, int fd) { return is_armed(kind) && is_database(fd) && fails(kind); }

static ssize_t write_at(int fd, const void *bytes, size_t count, off_t offset) {
    char file = record >= 0 ? file_of_descriptor(fd) : 0;
    if (!file) return syscall(SYS_pwrite64, fd, bytes, count, offset);
    pthread_mutex_lock(&recording);
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, count, offset);
    int reason = errno;
    if (written > 0) note('w', file, offset, bytes, (size_t)written);
    pthread_mutex_unlock(&recording);
    errno = reason;
    return written;
}

// Not recorded: SQLite writes the database only with pwrite(2).
ssize_t write(int fd, const void *bytes, size_t count) {
    if (database_fails("database_write", fd)) return -1;
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    if (database_fails("database_write", fd)) return -1;
    return write_at(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }

int ftruncate(int fd, off_t length) {
    char file = record >= 0 ? file_of_descriptor(fd) : 0;
    if (!file) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&recording);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    int reason = errno;
    if (result == 0) note('t', file, length, NULL, 0);
    pthread_mutex_unlock(&recording);
    errno = reason;
    return result;
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

// A failed sync is recorded too: its pages are no longer dirty, so that the next sync does not write them.
static int sync_file(int fd, long call) {
    char file = record >= 0 ? file_of_descriptor(fd) : 0;
    if (!file) return database_fails("database_sync", fd) ? -1 : (int)syscall(call, fd);
    pthread_mutex_lock(&recording);
    int result = database_fails("database_sync", fd) ? -1 : (int)syscall(call, fd);
    int reason = errno;
    note(result == 0 ? 's' : 'f', file, 0, NULL, 0);
    pthread_mutex_unlock(&recording);
    errno = reason;
    return result;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

// MARK: Devices

static const char *kind_of_ioctl(unsigned long request) {
#define KIND(name) \
    case name: return #name;
    switch (request) {
        KIND(TUNSETIFF) KIND(TUNSETPERSIST) KIND(TUNSETOWNER) KIND(TUNSETGROUP) KIND(TUNSETOFFLOAD)
        KIND(TUNSETVNETHDRSZ) KIND(TUNGETVNETHDRSZ) KIND(TUNSETQUEUE) KIND(TUNGETFEATURES)
        KIND(SIOCGIFINDEX) KIND(SIOCGIFNAME) KIND(SIOCETHTOOL) KIND(NS_GET_NSTYPE)
    }
    return "ioctl";
}

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (fails(kind_of_ioctl(request))) return -1;
    return (int)syscall(SYS_ioctl, fd, request, argument);
}

int setns(int fd, int type) { return fails("setns") ? -1 : (int)syscall(SYS_setns, fd, type); }

// MARK: Sockets

static bool is_netlink(int fd, uint32_t *groups) {
    struct sockaddr_nl address = {0};
    socklen_t length = sizeof address;
    if (syscall(SYS_getsockname, fd, &address, &length) != 0) return false;
    *groups = address.nl_groups;
    return address.nl_family == AF_NETLINK;
}

int socket(int family, int type, int protocol) {
    if (family == AF_NETLINK && fails("socket")) return -1;
    return (int)syscall(SYS_socket, family, type, protocol);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
    uint32_t groups;
    if ((is_armed("ask") || is_armed("change")) && count >= sizeof(struct nlmsghdr) && is_netlink(fd, &groups)) {
        // Message types are in groups of four: new, delete, get, set.
        bool asks = (((const struct nlmsghdr *)bytes)->nlmsg_type - RTM_BASE) % 4 == 2;
        if (fails(asks ? "ask" : "change")) return -1;
    }
    return syscall(SYS_sendto, fd, bytes, count, flags, NULL, 0);
}

ssize_t recv(int fd, void *bytes, size_t count, int flags) {
    uint32_t groups;
    if ((is_armed("answer") || is_armed("event")) && is_netlink(fd, &groups) && fails(groups ? "event" : "answer")) {
        int reason = errno;
        // As in the kernel, the pending messages are lost after ENOBUFS.
        if (groups && reason == ENOBUFS) {
            while (syscall(SYS_recvfrom, fd, bytes, count, MSG_DONTWAIT, NULL, NULL) > 0) {}
        }
        errno = reason;
        return -1;
    }
    return syscall(SYS_recvfrom, fd, bytes, count, flags, NULL, NULL);
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int milliseconds) {
    if (is_armed("epoll_wait")) {
        char name[16] = "";
        prctl(PR_GET_NAME, name, 0, 0, 0);
        if (strcmp(name, "tapster-worker") == 0 && fails("epoll_wait")) return -1;
    }
    return (int)syscall(SYS_epoll_pwait, epoll, events, count, milliseconds, NULL, 8);
}
