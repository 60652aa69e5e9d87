// A preloaded library: each fsync(2) and fdatasync(2) takes two milliseconds more, as on a disk that has no memory of its
// own to lie from. Where the disk answers at once, nothing can be gained by sharing its answer.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { nanoseconds = 2000000 };

static long after(long result) {
    struct timespec time = {.tv_nsec = nanoseconds};
    nanosleep(&time, NULL);
    return result;
}

int fsync(int descriptor) { return (int)after(syscall(SYS_fsync, descriptor)); }
int fdatasync(int descriptor) { return (int)after(syscall(SYS_fdatasync, descriptor)); }
