#!/bin/sh
# Runs a virtual machine whose network card has four queues, leased from Tapster.
#
#     qemu-multiqueue.sh -drive file=disk.qcow2,if=virtio -nographic      any further options of QEMU
#
# It needs neither root nor a capability. The caller must be allowed to use Tapster's socket (be in its group) and have
# the role operator (`peers` in the configuration), to declare the device; as the device's owner it may lease its
# queues. They stay attached until QEMU ends, for any reason; the device stays. In the guest, `ethtool -l eth0` shows
# the queues, and `ethtool -L eth0 combined 2` uses fewer.
set -eu
device=${DEVICE:-vm0}
socket=${TAPSTER_SOCKET:-/run/tapster/api.sock}

# An unchanged PUT has no effect, so it can be sent at each start.
curl -sS --fail-with-body --unix-socket "$socket" -X PUT "http://tapster/v1/devices/$device?wait=5s" --json '{"spec": {
    "queues": 4, "owner": '"$(id -u)"', "link": {"addresses": ["'"${ADDRESS:-192.0.2.1/24}"'"]}}}' >&2

# - {fds} is replaced by the descriptors, such as 5:6:7:8.
# - vhost=off: vhost-net would process the queues in the kernel, and needs access to /dev/vhost-net.
# - vectors: an interrupt for each queue and direction, one for the configuration, and one for the control queue.
# - smp: Linux uses at most as many queues as it has processors.
exec tapster exec --socket "$socket" --device "$device" -- \
    qemu-system-x86_64 -machine accel=kvm:tcg -smp 4 \
    -netdev 'tap,id=n0,fds={fds},vhost=off' -device virtio-net-pci,netdev=n0,mq=on,vectors=10 \
    "$@"
