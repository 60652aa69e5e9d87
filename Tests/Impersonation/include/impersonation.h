// Who the calling thread is.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Sets the effective user and group and the supplementary groups of the calling thread alone; libc's functions set
// those of all threads. Its real user stays, so root can come back. Returns −1 and errno on failure.
int impersonation_become(uid_t user, gid_t group, size_t count, const gid_t *groups);
