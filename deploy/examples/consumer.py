#!/usr/bin/env python3
"""Leases the free queues of a tap device from Tapster, and prints a line for each packet that arrives.

    consumer.py DEVICE [SOCKET]

A model for consumers of your own; consumer.c is the same in C.
"""
import json, os, re, selectors, signal, socket, sys

device = sys.argv[1]
path = sys.argv[2] if len(sys.argv) > 2 else "/run/tapster/api.sock"
signal.signal(signal.SIGINT, signal.SIG_DFL)

connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
request = "GET /v1/devices/%s/lease HTTP/1.1\r\nHost: tapster\r\nConnection: Upgrade\r\nUpgrade: tapster-lease/1\r\n\r\n"
connection.sendall((request % device).encode())
received, descriptors, indices = b"", [], []


def receive_until(is_there):
    """Descriptors come with their bytes and are lost to a plain recv(): not even the head may be read with one."""
    global received
    while not is_there():
        data, attached, flags, _ = socket.recv_fds(connection, 65536, 250, socket.MSG_CMSG_CLOEXEC)
        # Truncated: more descriptors than this process may have open (RLIMIT_NOFILE).
        if not data or flags & socket.MSG_CTRUNC:
            sys.exit("the queues did not arrive")
        received += data
        descriptors.extend(attached)


receive_until(lambda: b"\r\n\r\n" in received)
head, received = received.split(b"\r\n\r\n", 1)
if not head.startswith(b"HTTP/1.1 101 "):
    length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
    receive_until(lambda: len(received) >= length)
    sys.exit(json.loads(received)["detail"])

# A line for at most 250 queues; its descriptors have the order of its numbers.
line = {"last": False}
while not line["last"]:
    receive_until(lambda: b"\n" in received)
    text, received = received.split(b"\n", 1)
    line = json.loads(text)
    indices += line["queues"]
header_bytes = line["vnetHeaderSize"] or 0
print(f"{device}: queues {indices}", flush=True)

# From here on packets arrive, and the lease lasts as long as this connection: leave it open. Read each queue, since
# the kernel spreads the flows over all of them; and leave attaching and detaching (TUNSETQUEUE) to Tapster.
selector = selectors.DefaultSelector()
selector.register(connection, selectors.EVENT_READ)
for index, descriptor in zip(indices, descriptors):
    selector.register(descriptor, selectors.EVENT_READ, index)
while True:
    for key, _ in selector.select():
        if key.fileobj is connection:
            print("the lease has ended")
            sys.exit(0)
        try:
            # Room for the longest: a read takes one packet, and what does not fit of it is lost.
            packet = os.read(key.fd, header_bytes + 65536)
        except OSError:
            # Nothing there yet (the queues are non-blocking), or no device any more: then the connection ends too.
            continue
        # With vnetHeader, struct virtio_net_hdr comes first: whether a checksum is still to be made, and the like.
        print(f"queue {key.data}: {len(packet) - header_bytes} bytes", flush=True)
