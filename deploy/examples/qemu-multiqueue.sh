#!/bin/sh
# Runs a virtual machine whose network card has four queues, leased from Tapster.
#
#     qemu-multiqueue.sh -drive file=disk.qcow2,if=virtio -nographic      whatever else QEMU is to be told
#
# It needs neither root nor a capability: who may use Tapster's socket (its group) and is an operator (`peers` in the
# configuration) may state the device, and the device's owner may lease its queues. They are attached as long as QEMU runs, however it ends; the device stays. In the
# guest, `ethtool -l eth0` shows the queues, and `ethtool -L eth0 combined 2` uses fewer.
set -eu
device=${DEVICE:-vm0}
socket=${TAPSTER_SOCKET:-/run/tapster/api.sock}

# An equal statement changes nothing, so this may be said each time.
curl -sS --fail-with-body --unix-socket "$socket" -X PUT "http://tapster/v1/devices/$device?wait=5s" --json '{"spec": {
    "queues": 4, "owner": '"$(id -u)"', "link": {"addresses": ["'"${ADDRESS:-192.0.2.1/24}"'"]}}}' >&2

# - {fds} becomes the descriptors, as in fds=5:6:7:8.
# - vhost=off: vhost-net would read the queues in the kernel, and needs a right to /dev/vhost-net.
# - vectors: an interrupt for each queue in each direction, one for the configuration, one for the control queue.
# - smp: Linux uses as many queues as it has processors, when it may.
exec tapster exec --socket "$socket" --device "$device" -- \
    qemu-system-x86_64 -machine accel=kvm:tcg -smp 4 \
    -netdev 'tap,id=n0,fds={fds},vhost=off' -device virtio-net-pci,netdev=n0,mq=on,vectors=10 \
    "$@"
