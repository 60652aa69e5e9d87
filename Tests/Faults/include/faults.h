// A library that is loaded into the daemon with LD_PRELOAD and makes chosen system calls fail.
//
// The file of TAPSTER_TEST_FAULTS selects the calls that fail; a test changes it while the daemon runs. Without the
// variable, or while the file is not armed, every call reaches the kernel.
//
// The library also appends each operation on a database, its journal and its write-ahead log to the file of
// TAPSTER_TEST_RECORD, so that a test can simulate a power failure after any of them.
//
// TAPSTER_TEST_HTTP_VERSION replaces the version that libmicrohttpd reports.
#pragma once

#include <stdint.h>

struct faults_control {
    // 1 while calls fail. The test sets it after, and clears it before, it changes the other fields.
    uint32_t armed;
    // The errno of the calls that fail.
    int32_t error;
    // The number of the first call that fails, counted from 1 since `armed` was set.
    uint32_t first;
    // How many calls fail from there on; 0 for all until `armed` is cleared.
    uint32_t count;
    // Written by the daemon: the calls of this kind since `armed` was set, and how many of them failed.
    uint32_t calls;
    uint32_t struck;
    // The kind of the calls that fail, NUL-terminated:
    //   socket             socket(2) for netlink
    //   open_tun           open(2) of /dev/net/tun
    //   open_namespace     open(2) of a network namespace
    //   setns              setns(2)
    //   epoll_wait         epoll_wait(2) on the worker's thread
    //   ask, change        send(2) of a netlink GET request, or of any other one
    //   answer, event      recv(2) from a netlink socket for requests, or from one subscribed to multicast groups
    //   database_write     pwrite(2) and write(2) to a database, its journal or its write-ahead log
    //   database_sync      fsync(2) and fdatasync(2) of one of them
    //   die                no call: the process is killed after it has recorded an operation
    //   TUNSETIFF, …       ioctl(2) with this request
    char kind[32];
};

// An entry of the record, followed by the bytes of a write.
struct faults_entry {
    // 'c'reated, 'u'nlinked, 'w'ritten, 't'runcated, 's'ynced, or a sync that 'f'ailed.
    char operation;
    // 'd'atabase, 'w'rite-ahead log, 'j'ournal, or a 'f'older.
    char file;
    uint16_t unused;
    // The number of bytes written.
    uint32_t count;
    // The offset of a write, or the length after a truncation.
    int64_t offset;
};
