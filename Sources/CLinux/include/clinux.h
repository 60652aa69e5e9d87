// What Swift cannot import from Linux: variadic functions, _IOW macros, unions, and what hides behind _GNU_SOURCE.
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

// ioctl() is variadic. Each returns what ioctl returns: −1 and errno on failure.
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

// A detached thread, as pthread_create(3) makes it. Returns 0 or an error number.
int clinux_start_thread(void *(*run)(void *), void *context);
void clinux_name_thread(const char *name);

// strerrorname_np(3) and the GNU strerror_r(3).
const char *clinux_error_name(int number);
void clinux_error_text(int number, char *text, size_t bytes);

// struct ifreq is a union. `socket` may be any socket; its namespace is the one that is asked.
int clinux_interface_index(int socket, const char *name, int *index);
int clinux_interface_name(int socket, int index, char name[IFNAMSIZ]);

// The TUN_F_ bits that ethtool's features stand for; TSO and USO are not told apart by IP version.
int clinux_tun_offloads(int socket, const char *name, uint32_t *offloads);

// Bytes that the other side of a socket has not read, or −1.
int clinux_unread_bytes(int socket);

// A value macro whose type Swift does not see, and functions behind _GNU_SOURCE.
int clinux_namespace_cookie(int socket, uint64_t *cookie);
int clinux_unshare_network(void);

// Gives the calling thread mounts of its own: what it mounts from now on nobody else sees, and is gone with it.
int clinux_unshare_mounts(void);
int clinux_enter_network(int fd);
// The inode of the namespace that `path` leads to, or −1: ENOTTY when it leads to something else. Opens nothing that
// is not a namespace, since opening some files does something.
int clinux_open_network(const char *path, uint64_t *inode);
int clinux_network_inode(const char *path, uint64_t *inode);
int clinux_raise_descriptor_limit(uint64_t *limit);
int clinux_memory_file(const char *name);
// A sysfs that shows the network namespace of the thread, mounted nowhere, or −1.
int clinux_mount_sysfs(void);

// The CMSG_ macros (cmsg(3)). Both return what sendmsg and recvmsg return: −1 and errno on failure. Receiving fills at
// most `*count` descriptors, close-on-exec, and tells how many came and the message's flags (MSG_TRUNC, MSG_CTRUNC).
// With `sender`, it has room for SCM_CREDENTIALS too, and tells the sender's process, or 0.
ssize_t clinux_send_descriptors(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t count, int flags);
ssize_t clinux_receive_descriptors(
    int socket, void *bytes, size_t length, int *descriptors, size_t *count, pid_t *sender, int flags,
    int *message_flags);

// Which of two open descriptors of ours comes first in some order of open files: 0 the same file, 1 `a`, 2 `b`, 3
// neither, or −1 (kcmp(2), for which there is no function).
int clinux_compare_files(int a, int b);

// fork() is not available in Swift. Starts a program with `descriptors` from number 3 on and no other but the standard
// ones, no signal blocked or ignored, and SIGTERM at the death of the calling thread. `descriptors` may have any
// numbers. The first variable of `environment` is a place for LISTEN_PID. Returns the process, or −1 and why execvp
// failed.
pid_t clinux_spawn(char *const arguments[], char *environment[], int *descriptors, size_t count);

// siginfo_t is a union. The child that has ended and was not waited for, or 0: `process`, or with 0 any.
pid_t clinux_ended_child(pid_t process);

// A function macro, made of errno's address.
int clinux_errno(void);
