# Sourced by scripts/run and scripts/clean-run: Tapster with an embedded database under ./var.
# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Relative paths: the path of a socket has at most 107 bytes, and the path of this checkout may be long.
binary=.build/release/tapster
socket=var/api.sock

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

check_host() {
    [[ -c /dev/net/tun ]] ||
        fail "/dev/net/tun is missing: 'modprobe tun' on a host, '--device /dev/net/tun --cap-add NET_ADMIN' for a container"
    if [[ $EUID != 0 ]]; then
        command -v sudo >/dev/null || fail "creating network devices needs root, and sudo is not installed"
        return
    fi
    local capabilities
    capabilities=0x$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
    # CAP_NET_ADMIN is number 12 (capabilities(7)).
    ((capabilities >> 12 & 1)) || fail "root lacks CAP_NET_ADMIN here: '--cap-add NET_ADMIN' adds it to a container"
}

# Restarts this script as root.
become_root() {
    [[ $EUID == 0 ]] || exec sudo -- "$PWD/scripts/${0##*/}"
}

# api METHOD PATH [CURL-OPTION ...]
api() {
    curl -sS --max-time 30 --unix-socket "$socket" -X "$1" "http://tapster$2" "${@:3}"
}

is_running() { api GET /livez -o /dev/null 2>/dev/null; }
is_ready() { api GET /readyz -o /dev/null --fail 2>/dev/null; }

# start [OPTION ...]: leaves the process id in $daemon and in var/pid.
start() {
    mkdir -p -m 0700 var
    # The daemon ends with this script, even if that is killed.
    setpriv --pdeathsig TERM -- "$binary" serve --database var/tapster.db --socket "$socket" --socket-group 0 "$@" &
    daemon=$!
    echo "$daemon" >var/pid
    for _ in {1..100}; do
        ! is_ready || return 0
        # If the daemon has ended, it has printed the reason.
        kill -0 "$daemon" 2>/dev/null || exit 1
        sleep 0.1
    done
    kill "$daemon"
    fail "Tapster was not ready within 10 s"
}
