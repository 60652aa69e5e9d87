// A preloaded library: each fsync(2) and fdatasync(2) takes SLOW_DISK_MICROSECONDS more, as on a disk that has no
// memory of its own to answer from. Where the disk answers at once, nothing can be gained by sharing its answer.
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
