// A library for LD_PRELOAD with wrk, which supports only TCP: connects to port $WRK_PORT go to the Unix socket
// $WRK_UNIX_SOCKET instead.
//
//     WRK_PORT=1 WRK_UNIX_SOCKET=/run/tapster/api.sock LD_PRELOAD=wrk_over_unix.so wrk http://127.0.0.1:1/livez
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to_unix(int tcp, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int nonblocking = fcntl(tcp, F_GETFL) & O_NONBLOCK;
    int unix_socket = socket(AF_UNIX, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    if (unix_socket < 0) return -1;
    int result = (int)syscall(SYS_connect, unix_socket, &address, sizeof address);
    int error = errno;
    // wrk keeps using the same descriptor, which is now the Unix socket.
    if (result == 0 && dup3(unix_socket, tcp, 0) < 0) result = -1, error = errno;
    close(unix_socket);
    errno = error;
    return result;
}

// The C library declares the address as a transparent union, so the definition must do so too.
int connect(int descriptor, __CONST_SOCKADDR_ARG address, socklen_t length) {
    const char *port = getenv("WRK_PORT"), *path = getenv("WRK_UNIX_SOCKET");
    const struct sockaddr_in *tcp = address.__sockaddr_in__;
    if (port != NULL && path != NULL && tcp->sin_family == AF_INET && ntohs(tcp->sin_port) == atoi(port))
        return connect_to_unix(descriptor, path);
    return (int)syscall(SYS_connect, descriptor, address.__sockaddr__, length);
}
