#!/usr/bin/env python3
"""Leases the free queues of a tap device from Tapster, and prints a line for each packet that arrives.

    consumer.py DEVICE [SOCKET]

A template for your own consumers; consumer.c is the same in C.
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
    """Descriptors arrive with bytes, and a plain recv() of these would discard them: use recv_fds() for the head too."""
    global received
    while not is_there():
        data, attached, flags, _ = socket.recv_fds(connection, 65536, 250, socket.MSG_CMSG_CLOEXEC)
        # Truncated: more descriptors than this process may have open (RLIMIT_NOFILE).
        if not data or flags & socket.MSG_CTRUNC:
            sys.exit("not all queues were received")
        received += data
        descriptors.extend(attached)


receive_until(lambda: b"\r\n\r\n" in received)
head, received = received.split(b"\r\n\r\n", 1)
if not head.startswith(b"HTTP/1.1 101 "):
    length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
    receive_until(lambda: len(received) >= length)
    sys.exit(json.loads(received)["detail"])

# Each line is for at most 250 queues; its descriptors are in the order of the queues' numbers.
line = {"last": False}
while not line["last"]:
    receive_until(lambda: b"\n" in received)
    text, received = received.split(b"\n", 1)
    line = json.loads(text)
    indices += line["queues"]
header_bytes = line["vnetHeaderSize"] or 0
print(f"{device}: queues {indices}", flush=True)

# Packets arrive from now on. The lease lasts as long as this connection: keep it open. Read every queue, since the
# kernel distributes flows over all of them. Do not attach or detach queues (TUNSETQUEUE): Tapster does that.
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
            # Room for the longest packet: each read returns one packet, and the kernel discards bytes that do not fit.
            packet = os.read(key.fd, header_bytes + 65536)
        except OSError:
            # No packet yet (the queues are non-blocking), or the device is gone; the connection then ends too.
            continue
        # With vnetHeader, each packet begins with a struct virtio_net_hdr (checksum and segmentation offload).
        print(f"queue {key.data}: {len(packet) - header_bytes} bytes", flush=True)
