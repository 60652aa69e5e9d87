#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <linux/sockios.h>

int clinux_open(const char *path, int flags) { return open(path, flags); }

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
int clinux_tun_set_carrier(int fd, int on) { return ioctl(fd, TUNSETCARRIER, &on); }

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

int clinux_namespace_cookie(int socket, uint64_t *cookie) {
    socklen_t length = sizeof *cookie;
    return getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &length);
}

int clinux_unshare_network(void) { return unshare(CLONE_NEWNET); }

int clinux_raise_descriptor_limit(uint64_t *limit) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return -1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) return -1;
    *limit = files.rlim_cur;
    return 0;
}

int clinux_errno(void) { return errno; }
