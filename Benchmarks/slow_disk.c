// A library for LD_PRELOAD that delays each fsync(2) and fdatasync(2) by SLOW_DISK_MICROSECONDS, as on a disk without a
// write cache. On a disk with one, a sync is so fast that sharing it between writes gains little.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long after(long result) {
    const char *microseconds = getenv("SLOW_DISK_MICROSECONDS");
    struct timespec time = {.tv_nsec = microseconds == NULL ? 0 : 1000 * atol(microseconds)};
    nanosleep(&time, NULL);
    return result;
}

int fsync(int descriptor) { return (int)after(syscall(SYS_fsync, descriptor)); }
int fdatasync(int descriptor) { return (int)after(syscall(SYS_fdatasync, descriptor)); }
