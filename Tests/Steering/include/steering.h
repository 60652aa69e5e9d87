// Packets for a queue of the test's choice. Each returns −1 and errno on failure.
#pragma once

#include <stddef.h>
#include <stdint.h>

// From now on the packet's mark is the kernel index of the queue that gets it (TUNSETSTEERINGEBPF).
int steering_by_mark(int queue);

// A socket of the calling thread's network namespace that sends frames to an interface.
int steering_open(int interface_index);
int steering_send(int socket, uint32_t mark, const void *frame, size_t length);

// How many bytes a queue's packets may take on their way into the host (TUNGETSNDBUF).
int steering_get_send_buffer(int queue, int *bytes);
