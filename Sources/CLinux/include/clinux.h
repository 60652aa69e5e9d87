// What Swift cannot import from Linux: variadic functions, _IOW macros, unions, and declarations that need _GNU_SOURCE.
#pragma once

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>

// open(), openat() and ioctl() are variadic. Return values are those of the system calls: −1 and errno on failure.
int clinux_open(const char *path, int flags, mode_t mode);
int clinux_open_at(int directory, const char *name, int flags, mode_t mode);
int clinux_tun_set_interface(int fd, const char *name, uint16_t flags);
int clinux_tun_set_queue(int fd, uint16_t flags);
int clinux_tun_set_persist(int fd, int on);
int clinux_tun_set_owner(int fd, uid_t owner);
int clinux_tun_set_group(int fd, gid_t group);
int clinux_tun_set_offload(int fd, uint32_t offloads);
int clinux_tun_set_vnet_header_size(int fd, int bytes);
int clinux_tun_get_vnet_header_size(int fd, int *bytes);
int clinux_tun_get_features(int fd, unsigned int *features);
int clinux_tun_get_interface(int fd, char name[IFNAMSIZ], uint16_t *flags);
int clinux_tun_set_send_buffer(int fd, int bytes);
// Takes back what any process that has a queue may set for the whole device, and no message shows: filters, programs,
// the byte order of the vnet header, and the send buffer.
int clinux_tun_reset(int fd);
// The part of it that no consumer negotiates: filters and programs.
int clinux_tun_clear_filters(int fd);

// Starts a detached thread (pthread_create(3)). Returns 0 or an error number.
int clinux_start_thread(void *(*run)(void *), void *context);
// Names the calling thread (PR_SET_NAME, prctl(2)).
void clinux_name_thread(const char *name);

// strerrorname_np(3), which returns NULL for an unknown number, and the GNU strerror_r(3).
const char *clinux_error_name(int number);
void clinux_error_text(int number, char *text, size_t bytes);

// struct ifreq contains a union. `socket` may be of any kind; the call looks in its network namespace.
int clinux_interface_index(int socket, const char *name, int *index);
int clinux_interface_name(int socket, int index, char name[IFNAMSIZ]);

// The offloads as TUN_F_ bits, from ethtool's features: TUN_F_CSUM, and TUN_F_TSO4 and TUN_F_TSO6 for any TCP
// segmentation, since ethtool does not report the IP version.
int clinux_tun_offloads(int socket, const char *name, uint32_t *offloads);

// The bytes sent on a socket that the other side has not read (SIOCOUTQ), or −1.
int clinux_unread_bytes(int socket);

// SO_NETNS_COOKIE, a macro that Swift does not import, and functions that need _GNU_SOURCE.
int clinux_namespace_cookie(int socket, uint64_t *cookie);
int clinux_unshare_network(void);

// Gives the calling thread a private mount namespace: its later mounts are invisible elsewhere and end with it.
int clinux_unshare_mounts(void);

// setns(2) of the calling thread with CLONE_NEWNET.
int clinux_enter_network(int fd);

// Opens the network namespace at `path` and returns its descriptor and inode, or −1: ENOTTY if it is not a network
// namespace. Does not open any other file, since opening some files has side effects.
int clinux_open_network(const char *path, uint64_t *inode);
// The inode of the namespace at `path`, without opening it: −1 and ENOTTY if it is not a namespace.
int clinux_network_inode(const char *path, uint64_t *inode);

// Raises the soft limit of RLIMIT_NOFILE to the hard one, and returns it in `limit`.
int clinux_raise_descriptor_limit(uint64_t *limit);
// memfd_create(2), close-on-exec.
int clinux_memory_file(const char *name);
// A descriptor of a sysfs of the thread's network namespace, mounted on no directory (fsmount(2)), or −1.
int clinux_mount_sysfs(void);

// sendmsg(2) and recvmsg(2) with descriptors, which need the CMSG_ macros (cmsg(3)). Both return −1 and errno on
// failure. Receiving stores at most `*count` descriptors, close-on-exec, and sets `*count` to their number and
// `*message_flags` to the message's flags (MSG_TRUNC, MSG_CTRUNC). With `sender`, it also accepts SCM_CREDENTIALS and
// stores the sender's process ID, or 0 without credentials.
ssize_t clinux_send_descriptors(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t count, int flags);
ssize_t clinux_receive_descriptors(
    int socket, void *bytes, size_t length, int *descriptors, size_t *count, pid_t *sender, int flags,
    int *message_flags);

// Compares the open files of two descriptors of this process (kcmp(2), which has no wrapper): 0 the same open file, 1
// `a` before `b` in the kernel's order, 2 after it, 3 different without an order, or −1.
int clinux_compare_files(int a, int b);

// Starts a program, since fork() is not available in Swift. The program gets the standard descriptors and
// `descriptors`, whatever their numbers, as 3 and up; no other descriptor stays open, and no signal is blocked or
// ignored. It gets SIGTERM when the calling thread ends. The first entry of `environment` is replaced by LISTEN_PID.
// Returns the process ID, or −1 and the errno of the step that failed, such as execvp().
pid_t clinux_spawn(char *const arguments[], char *environment[], int *descriptors, size_t count);

// A child that has ended and has not been waited for, or 0 (waitid(2); siginfo_t contains a union): `process`, or any
// child if that is 0.
pid_t clinux_ended_child(pid_t process);

// errno is a macro that Swift does not import.
int clinux_errno(void);

// Enumerators of <sys/socket.h>. Swift finds them in Glibc or not, depending on which header it has read first.
static const int clinux_msg_dontwait = MSG_DONTWAIT;
static const int clinux_msg_nosignal = MSG_NOSIGNAL;
static const int clinux_msg_peek = MSG_PEEK;
static const int clinux_msg_trunc = MSG_TRUNC;
static const int clinux_msg_ctrunc = MSG_CTRUNC;
static const int clinux_msg_cmsg_cloexec = MSG_CMSG_CLOEXEC;
static const int clinux_sock_stream = SOCK_STREAM;
static const int clinux_sock_dgram = SOCK_DGRAM;
static const int clinux_sock_raw = SOCK_RAW;
static const int clinux_sock_seqpacket = SOCK_SEQPACKET;
static const int clinux_sock_cloexec = SOCK_CLOEXEC;
static const int clinux_sock_nonblock = SOCK_NONBLOCK;
static const int clinux_shut_rdwr = SHUT_RDWR;
