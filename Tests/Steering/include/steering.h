// Sends packets to a queue that the test chooses. Each function returns −1 and sets errno on failure.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Makes the device deliver each packet to the queue whose kernel index is the packet's mark (TUNSETSTEERINGEBPF).
int steering_by_mark(int queue);

// Opens a socket in the calling thread's network namespace that sends frames to an interface.
int steering_open(int interface_index);
int steering_send(int socket, uint32_t mark, const void *frame, size_t length);

// What a process without privilege can set for the whole device through its queue.
int steering_filter_addresses(int queue);   // TUNSETTXFILTER: no packet passes
int steering_filter_packets(int queue);     // TUNATTACHFILTER: no packet passes
int steering_limit_sending(int queue);      // TUNSETSNDBUF: 1 byte
int steering_set_little_endian(int queue);  // TUNSETVNETLE
int steering_is_little_endian(int queue, int *is_set);
int steering_set_address(int queue, const uint8_t address[6]);  // SIOCSIFHWADDR

// Any ioctl of a queue, with a value or a pointer as its argument.
int steering_control(int queue, unsigned long request, unsigned long argument);

// Reads the limit, in bytes, of packets that were written to a queue and are still in the host (TUNGETSNDBUF).
int steering_get_send_buffer(int queue, int *bytes);
