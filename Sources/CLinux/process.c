#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <linux/kcmp.h>

int clinux_compare_files(int a, int b) {
    return (int)syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, (unsigned long)a, (unsigned long)b);
}

#define FIRST_PASSED 3

// Runs in the child of a multithreaded process, where taking locks or allocating memory is unsafe. Returns if a call
// has failed.
static void become(char *const arguments[], char *environment[], int *descriptors, size_t count) {
    static char listen_pid[32];
    sigset_t none;
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    // The program must not inherit our other descriptors. Kernels before 5.11 do not have the flag.
    close_range(FIRST_PASSED, ~0U, CLOSE_RANGE_CLOEXEC);
    // Duplicated beyond the final numbers first, so that no dup2() closes a descriptor that is still needed.
    int beyond = FIRST_PASSED + (int)count;
    for (size_t i = 0; i < count; i++) {
        if (descriptors[i] < beyond) descriptors[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, beyond);
        if (descriptors[i] < 0) return;
    }
    for (size_t i = 0; i < count; i++) {
        if (dup2(descriptors[i], FIRST_PASSED + (int)i) < 0) return;
    }
    snprintf(listen_pid, sizeof listen_pid, "LISTEN_PID=%d", getpid());
    environment[0] = listen_pid;
    environ = environment;
    execvp(arguments[0], arguments);
}

pid_t clinux_spawn(char *const arguments[], char *environment[], int *descriptors, size_t count) {
    int report[2], reason = 0;
    pid_t parent = getpid();
    if (pipe2(report, O_CLOEXEC) != 0) return -1;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        // The parent may have ended before the call, and no signal would come.
        if (getppid() != parent) _exit(1);
        int out = fcntl(report[1], F_DUPFD_CLOEXEC, FIRST_PASSED + (int)count);
        if (out >= 0) become(arguments, environment, descriptors, count);
        reason = errno;
        // If the write fails, the parent sees a program that ended at once with status 127.
        (void)!write(out >= 0 ? out : report[1], &reason, sizeof reason);
        _exit(127);
    }
    if (child < 0) reason = errno;
    close(report[1]);
    // End of file means that execvp() has closed the pipe.
    while (child > 0 && read(report[0], &reason, sizeof reason) < 0 && errno == EINTR) {}
    close(report[0]);
    if (child > 0 && reason != 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
        child = -1;
    }
    errno = reason;
    return child;
}

pid_t clinux_ended_child(pid_t process) {
    siginfo_t child = {.si_pid = 0};
    int result = waitid(process ? P_PID : P_ALL, (id_t)process, &child, WEXITED | WNOHANG | WNOWAIT);
    return result == 0 ? child.si_pid : 0;
}
