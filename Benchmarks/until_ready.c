// until_ready SOCKET COMMAND [ARGUMENT…]: executes COMMAND, and prints the seconds until GET /readyz answers 200.
//
// A child sends the requests, so that this process becomes the daemon, and the caller has its process id.
#include "http_client.h"

enum { poll_microseconds = 1000, ready_seconds_max = 60 };

static int is_ready(const char *path) {
    char answer[http_text_bytes_max];
    int connection = http_connect(path);
    if (connection < 0) return 0;
    int status = http_exchange(connection, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", answer);
    close(connection);
    return status == 200;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: until_ready SOCKET COMMAND [ARGUMENT...]\n");
        return 2;
    }
    pid_t daemon = getpid();
    double start = seconds();
    if (check(fork(), "fork") > 0) {
        // Standard output has only the number; the daemon's output goes to its log.
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(argv[2], argv + 2);
        die(argv[2]);
    }
    while (!is_ready(argv[1])) {
        if (getppid() != daemon) {
            fprintf(stderr, "the daemon ended before it was ready\n");
            return 1;
        }
        if (seconds() - start > ready_seconds_max) {
            fprintf(stderr, "not ready within %d s\n", ready_seconds_max);
            return 1;
        }
        usleep(poll_microseconds);
    }
    printf("%.6f\n", seconds() - start);
}
