// Loaded into the daemon by LD_PRELOAD, it lets chosen system calls fail without asking the kernel.
//
// What fails is told by the file that TAPSTER_TEST_FAULTS names, which a test changes while the daemon runs. Without
// the variable, or while the file is not armed, every call goes through.
//
// It also appends what is done to a database, its journal and its write-ahead log to the file that TAPSTER_TEST_RECORD
// names, so that a test can play a power cut at any point of it.
//
// TAPSTER_TEST_HTTP_VERSION is the version that libmicrohttpd then says it has.
#pragma once

#include <stdint.h>

struct faults_control {
    // 1 while calls fail. The test writes it last, and zeroes it first.
    uint32_t armed;
    // The error number of the calls that fail.
    int32_t error;
    // The first call that fails, counted from one since it was armed.
    uint32_t first;
    // How many calls fail from there on; zero: all, until it is disarmed.
    uint32_t count;
    // What the daemon writes: calls of this kind since it was armed, and how many of them failed.
    uint32_t calls;
    uint32_t struck;
    // The kind of the calls that fail, ended by a zero byte:
    //   socket             socket(2) for netlink
    //   open_tun           open(2) of /dev/net/tun
    //   open_namespace     open(2) of a network namespace
    //   setns              setns(2)
    //   epoll_wait         epoll_wait(2) on the worker's thread
    //   ask, change        send(2) of a netlink question, or of anything else
    //   answer, event      recv(2) from a netlink socket: one that asks, or one that listens to groups
    //   database_write     pwrite(2) and write(2) to a database, its journal or its write-ahead log
    //   database_sync      fsync(2) and fdatasync(2) of one of them
    //   die                none: the process is killed when it has recorded a call
    //   TUNSETIFF, …       ioctl(2) with this request
    char kind[32];
};

// What the record consists of: this, and after a write its bytes.
struct faults_entry {
    // 'c'reated, 'u'nlinked, 'w'ritten, 't'runcated, 's'ynced, or a sync that 'f'ailed.
    char operation;
    // 'd'atabase, 'w'rite-ahead log, 'j'ournal, or a 'f'older.
    char file;
    uint16_t unused;
    // How many bytes were written.
    uint32_t count;
    // Where, or the new length.
    int64_t offset;
};
