// Changes the user and the groups of one thread.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Sets the effective user and group and the supplementary groups of the calling thread only; libc's functions set them
// for all threads. The real user stays, so that the thread can become root again. Returns −1 and sets errno on failure.
int impersonation_become(uid_t user, gid_t group, size_t count, const gid_t *groups);
