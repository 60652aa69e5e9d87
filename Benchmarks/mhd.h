// A libmicrohttpd server with Tapster's settings, for floors.
#include "../Sources/CMicroHTTPD/shim.h"
#include "common.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { backlog = 1024 };

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    int listener = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    check(bind(listener, (struct sockaddr *)&address, sizeof address), path);
    check(listen(listener, backlog), path);
    return listener;
}

// Serves the Unix socket until SIGTERM.
static void serve(const char *path, MHD_AccessHandlerCallback handler) {
    // Blocked before the library's threads start, which inherit the mask, so that only sigwait() gets the signal.
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    struct tapster_mhd_settings settings = {
        // As in HTTPLimits.swift.
        .listen_socket = listen_at(path),
        .threads = 2,
        .connections_max = 512,
        .connection_memory_bytes_max = 32 << 10,
        .allows_upgrade = 1,
        .handler = handler,
    };
    struct MHD_Daemon *daemon = tapster_mhd_start(&settings);
    if (daemon == NULL) die("libmicrohttpd");
    int received;
    sigwait(&end, &received);
    MHD_stop_daemon(daemon);
    unlink(path);
}
