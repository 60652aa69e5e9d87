#define _GNU_SOURCE
#include "impersonation.h"

#include <sys/syscall.h>
#include <unistd.h>

int impersonation_become(uid_t user, gid_t group, size_t count, const gid_t *groups) {
    // Becomes root first, since only root may set groups.
    if (syscall(SYS_setresuid, -1, 0, -1) != 0) return -1;
    if (syscall(SYS_setgroups, count, groups) != 0) return -1;
    if (syscall(SYS_setresgid, -1, group, -1) != 0) return -1;
    return (int)syscall(SYS_setresuid, -1, user, -1);
}
