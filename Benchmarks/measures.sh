# The measures of Benchmarks/run, which sources this file: one function for each, in the order of the table.

queues=4
spec="{\"queues\":$queues}"
reconciles=20
repair_devices=30
hostile_clients=200
hostile_seconds=3
viewers=100
unmanaged_taps=10
viewed_leases=200
idle_seconds=4
wrk_seconds=3
put_clients=32
put_count=2000
watched_writes=500
# The kernel reports the state of new links up to a second later, and frees some memory late (RCU).
settle_seconds=2

# ---- Shared functions

# Prints the seconds to create a number of devices without the daemon, in a new namespace.
floor_create() {
    open_namespace
    rm -f "$dir"/floor.db*
    inside "$build/floor_create" "$@"
    close_namespace
}

# Allocating memory that was freed long ago is slower, since a hypervisor may have reclaimed it. This creates devices
# once before the measurement, so that the first program measured does not pay for it.
warm_up() { floor_create "$1" >/dev/null; }

post_devices() { "$build/post_devices" "$socket" "$1" "$queues" "$connections"; }

# post TARGET JSON: prints the seconds until the response, which must be 200.
post() {
    local said
    said=$(curl -sS --unix-socket "$socket" --json "$2" -o "$dir/answer" -w '%{http_code} %{time_total}' \
        "http://localhost$1")
    [[ $said == "200 "* ]] || fail "POST $1 was answered with ${said% *}: $(head -c 2000 "$dir/answer")"
    echo "${said#* }"
}

# document COUNT SPEC: prints a document of the taps b0, b1, … with the same spec.
document() {
    seq 0 $(($1 - 1)) | awk -v spec="$2" '
        { printf "%s{\"metadata\":{\"name\":\"b%d\"},\"spec\":%s}", NR == 1 ? "{\"devices\":[" : ",", $1, spec }
        END { print "]}" }'
}

# apply COUNT [SPEC]: prints the seconds until so many taps are Ready.
apply() {
    document "$1" "${2:-$spec}" >"$dir/document"
    post '/v1/apply?wait=60s' "@$dir/document"
    expect_taps "$1"
}

# Deletes all taps and prints the seconds.
prune() {
    post '/v1/apply?prune=true&wait=60s' '{"devices":[]}'
    expect_taps 0
}

# Checks that the response did not come before the kernel was done; the time would be meaningless.
expect_taps() {
    local count
    count=$(inside ip -brief link show type tun | wc -l)
    [[ $count == "$1" ]] || fail "there are $count taps instead of $1"
}

# Starts a daemon, has it create its devices, and waits until it is idle.
start_settled_daemon() {
    start_fresh_daemon
    apply "$devices" >/dev/null
    sleep "$settle_seconds"
}

# ---- Creating and deleting devices

measure_converge() {
    local run tapster_seconds=() commit_seconds=() plain_seconds=() t f
    warm_up "$devices"
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        commit_seconds+=("$(floor_create "$devices" "$dir/floor.db")")
        plain_seconds+=("$(floor_create "$devices")")
        start_fresh_daemon
        tapster_seconds+=("$(post_devices "$devices")")
        end_fresh_daemon
    done
    t=$(median "${tapster_seconds[@]}")
    f=$(median "${commit_seconds[@]}")
    row_of_seconds "converge $devices taps × $queues queues; floor: one commit per tap" "$t" "$f" \
        "≤ 1.5, $(judge "$t / $f <= 1.5")"
    # The durable writes are necessary; the floor without them only shows the kernel's share.
    f=$(median "${plain_seconds[@]}")
    row_of_seconds "converge $devices taps × $queues queues; floor: without commits" "$t" "$f" "–"
}

row_of_seconds() {
    row "$1" "$(calculate '%.3f s' "$2")" "$(calculate '%.3f s' "$3")" \
        "$(calculate '%.2f' "$2 / $3")" "$4"
}

measure_apply() {
    make_and_delete
    rows_beside_ip "apply $devices taps × $queues queues; floor: the same calls" tapster_made floor_made ip_made
}

measure_prune() {
    make_and_delete
    rows_beside_ip "prune $devices taps × $queues queues; floor: one deletion of a group" \
        tapster_deleted floor_deleted ip_deleted
}

tapster_made=() tapster_deleted=() floor_made=() floor_deleted=() ip_made=() ip_deleted=()

# Creates and deletes devices once for both measures.
make_and_delete() {
    local run
    [[ ${#ip_made[@]} == 0 ]] || return 0
    seq -f 'b%.0f' 0 $((ip_devices - 1)) >"$dir/names"
    awk '{ print "tuntap add dev " $1 " mode tap multi_queue vnet_hdr"; print "link set " $1 " up" }' \
        "$dir/names" >"$dir/ip-make"
    awk '{ print "link del " $1 }' "$dir/names" >"$dir/ip-delete"
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        open_namespace
        ip_made+=("$(seconds_of inside ip -batch "$dir/ip-make")")
        ip_deleted+=("$(seconds_of inside ip -batch "$dir/ip-delete")")
        close_namespace

        warm_up "$devices"
        open_namespace
        floor_made+=("$(inside "$build/floor_create" "$devices")")
        floor_deleted+=("$(inside "$build/floor_delete" "$devices")")
        close_namespace

        start_fresh_daemon
        tapster_made+=("$(apply "$devices")")
        tapster_deleted+=("$(prune)")
        end_fresh_daemon
    done
}

seconds_of() {
    local start=$EPOCHREALTIME
    "$@"
    calculate '%.6f' "$EPOCHREALTIME - $start"
}

# rows_beside_ip MEASURE TAPSTER FLOOR IP: the last three are the names of arrays of seconds.
rows_beside_ip() {
    local -n tapster_seconds=$2 floor_seconds=$3 ip_seconds=$4
    local t f
    t=$(median "${tapster_seconds[@]}")
    f=$(median "${floor_seconds[@]}")
    row_of_seconds "$1" "$t" "$f" "≤ 1.25, $(judge "$t / $f <= 1.25")"
    t=$(calculate '%.9f' "$t / $devices")
    f=$(calculate '%.9f' "$(median "${ip_seconds[@]}") / $ip_devices")
    row "${1%% *}, per tap; floor: \`ip -batch\` with $ip_devices taps" "$(calculate '%.2f ms' "$t * 1000")" \
        "$(calculate '%.2f ms' "$f * 1000")" "$(calculate '%.3f' "$t / $f")" "≤ 0.02, $(judge "$t / $f <= 0.02")"
}

measure_growth() {
    local run count tapster_seconds floor_seconds t f ratio ratios=() spread
    for count in "${growth_devices[@]}"; do
        tapster_seconds=() floor_seconds=()
        warm_up "$count"
        for ((run = 1; run <= long_runs; run++)); do
            progress "$run" "$long_runs" "$count taps"
            floor_seconds+=("$(floor_create "$count")")
            start_fresh_daemon
            tapster_seconds+=("$(apply "$count" '{"queues":1,"multiQueue":true}')")
            end_fresh_daemon
        done
        t=$(median "${tapster_seconds[@]}")
        f=$(median "${floor_seconds[@]}")
        ratio=$(calculate '%.4f' "$t / $f")
        ratios+=("$ratio")
        row "growth: apply of $count taps × 1 queue, per tap" "$(calculate '%.3f ms' "$t / $count * 1000")" \
            "$(calculate '%.3f ms' "$f / $count * 1000")" "$(calculate '%.2f' "$ratio")" –
    done
    # The distance of the smallest and the largest ratio from their mean.
    spread=$(printf '%s\n' "${ratios[@]}" | sort -g |
        awk 'NR == 1 { least = $1 } END { print ($1 - least) / ($1 + least) }')
    row "growth: spread of these ratios" – – "$(calculate '± %.0f %%' "$spread * 100")" \
        "≤ ± 20 %, $(judge "$spread <= 0.2")"
}

# ---- Reconciling and repairing

measure_pass() {
    local run before after tapster_seconds=() floor_seconds=() t f i
    start_settled_daemon
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        floor_seconds+=("$(inside "$build/floor_dump")")
        read -r -a before <<<"$(passes)"
        for ((i = 0; i < reconciles; i++)); do post '/v1/reconcile?wait=10s' '' >/dev/null; done
        read -r -a after <<<"$(passes)"
        ((after[1] - before[1] >= reconciles)) || fail "$reconciles reconcile requests caused fewer passes"
        # Divided by the number of requests: further, shorter passes must not reduce the average.
        tapster_seconds+=("$(calculate '%.9f' "(${after[0]} - ${before[0]}) / $reconciles")")
    done
    end_fresh_daemon
    t=$(median "${tapster_seconds[@]}")
    f=$(median "${floor_seconds[@]}")
    row "reconcile pass over $devices unchanged taps; floor: one dump" "$(calculate '%.2f ms' "$t * 1000")" \
        "$(calculate '%.2f ms' "$f * 1000")" "$(calculate '%.2f' "$t / $f")" "≤ 3, $(judge "$t / $f <= 3")"
}

# Prints the seconds of all passes so far, and their number. Waits first, since a request may be answered just before
# its pass is counted.
passes() {
    sleep 0.1
    curl -sS --fail --unix-socket "$socket" http://localhost/metrics | awk '
        $1 == "tapster_reconcile_duration_seconds_sum" { sum = $2 }
        $1 == "tapster_reconcile_duration_seconds_count" { count = $2 }
        END { print sum, count }'
}

# Daemon and floor repair the same taps, and each field of a tap once.
measure_repair() {
    local run first taps=$((devices / runs)) floor_half=() floor_most=() half=() most=() p50 p99 f limit
    ((taps <= repair_devices)) || taps=$repair_devices
    start_settled_daemon
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        first=$(((run - 1) * taps))
        stop_daemon
        inside "$build/floor_repair" "$build/repair" "$first" "$taps" >"$dir/repair"
        read -r p50 p99 <"$dir/repair"
        floor_half+=("$p50")
        floor_most+=("$p99")
        start_daemon
        inside "$build/repair" "$first" "$taps" >"$dir/repair"
        read -r p50 p99 <"$dir/repair"
        half+=("$p50")
        most+=("$p99")
    done
    end_fresh_daemon
    p50=$(median "${half[@]}")
    f=$(median "${floor_half[@]}")
    row_of_repair p50 "$p50" "$f" "≤ 100 ms, $(judge "$p50 <= 100")"
    p99=$(median "${most[@]}")
    f=$(median "${floor_most[@]}")
    limit=$(calculate '%.3f' "2 * $f + 1")
    row_of_repair p99 "$p99" "$f" "≤ 2 × floor + 1 ms = $(calculate '%.2f ms' "$limit"), $(judge "$p99 <= $limit")"
}

row_of_repair() {
    row "repair of a field among $devices taps, $1; floor: the same calls" "$(calculate '%.2f ms' "$2")" \
        "$(calculate '%.2f ms' "$3")" "$(calculate '%.1f' "$2 / $3")" "$4"
}

measure_restart() {
    local run tapster_seconds=() floor_seconds=() t f limit
    start_fresh_daemon
    apply "$restart_devices" >/dev/null
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        stop_daemon
        floor_seconds+=("$(inside "$build/floor_dump")")
        start_daemon
        tapster_seconds+=("$ready_seconds")
    done
    end_fresh_daemon
    t=$(median "${tapster_seconds[@]}")
    f=$(median "${floor_seconds[@]}")
    limit=$(calculate '%.6f' "5 * $f + 0.05")
    row "restart with $restart_devices taps until ready; floor: one dump" "$(calculate '%.1f ms' "$t * 1000")" \
        "$(calculate '%.1f ms' "$f * 1000")" "$(calculate '%.1f' "$t / $f")" \
        "≤ 5 × floor + 50 ms = $(calculate '%.1f ms' "$limit * 1000"), $(judge "$t <= $limit")"
}

# ---- Requests

measure_requests() {
    start_settled_daemon
    requests "GET of one device" /v1/devices/b0
    requests "GET of 100 devices" '/v1/devices?limit=100'
    end_fresh_daemon
}

# requests WHAT TARGET
requests() {
    local run tapster_rates=() floor_rates=() t f
    start_floor_http "$2"
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs" "$1"
        floor_rates+=("$(requests_per_second "$dir/floor.sock" "$2")")
        tapster_rates+=("$(requests_per_second "$socket" "$2")")
    done
    stop "$floor"
    floor=
    t=$(median "${tapster_rates[@]}")
    f=$(median "${floor_rates[@]}")
    row "$1, requests/s; floor: the same bytes" "$(calculate '%.0f' "$t")" "$(calculate '%.0f' "$f")" \
        "$(calculate '%.2f' "$t / $f")" "≥ 0.85, $(judge "$t / $f >= 0.85")"
}

# start_floor_http TARGET: starts floor_http with the daemon's response to TARGET, without the header fields that the
# library adds by itself.
start_floor_http() {
    rm -f "$dir/floor.sock"
    curl -sS --fail --unix-socket "$socket" -D "$dir/head" -o "$dir/body" "http://localhost$1"
    sed '1d; s/\r$//' "$dir/head" | grep -viE '^(date|content-length|connection):' >"$dir/headers"
    "$build/floor_http" "$dir/floor.sock" "$dir/body" "$dir/headers" &
    floor=$!
    for _ in {1..100}; do
        [[ ! -S $dir/floor.sock ]] || break
        sleep 0.05
    done
    [[ $(answer_bytes "$dir/floor.sock" "$1") == "$(answer_bytes "$socket" "$1")" ]] ||
        fail "floor_http sends another response than the daemon"
}

# answer_bytes SOCKET TARGET: prints the sizes of headers and body.
answer_bytes() {
    curl -sS --fail --unix-socket "$1" -o /dev/null -w '%{size_header} %{size_download}' "http://localhost$2"
}

# requests_per_second SOCKET TARGET
requests_per_second() {
    local report
    report=$(WRK_PORT=1 WRK_UNIX_SOCKET=$1 LD_PRELOAD=$build/wrk_over_unix.so \
        wrk -t1 -c32 "-d${wrk_seconds}s" "http://127.0.0.1:1$2")
    [[ ! $report =~ (Non-2xx|Socket errors) ]] || fail "$report"
    awk '/^Requests\/sec:/ { print $2 }' <<<"$report"
}

measure_gets() {
    local run p50 p99 worst half=() most=() all=()
    document "$devices" "$spec" >"$dir/document"
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        start_fresh_daemon
        "$build/converging_gets" "$socket" "$dir/document" "$devices" >"$dir/gets"
        read -r p50 p99 worst <"$dir/gets"
        half+=("$p50")
        most+=("$p99")
        all+=("$worst")
        end_fresh_daemon
    done
    row "GET of one device while $devices taps converge, p50" "$(calculate '%.2f ms' "$(median "${half[@]}")")" – – –
    p99=$(median "${most[@]}")
    row "GET of one device while $devices taps converge, p99" "$(calculate '%.2f ms' "$p99")" – – \
        "< 10 ms, $(judge "$p99 < 10")"
    row "GET of one device while $devices taps converge, maximum" "$(calculate '%.2f ms' "$(median "${all[@]}")")" – – –
}

scrapes=20

# Daemon and floor send the same lines with the same library, so that the ratio compares what Prometheus waits for.
measure_scrape() {
    local run p50 p99 half=() most=() floor_half=() floor_most=() t f
    start_settled_daemon
    start_floor_scrape
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        "$build/scrapes" "$dir/floor.sock" "$scrapes" >"$dir/scrapes"
        read -r p50 p99 <"$dir/scrapes"
        floor_half+=("$p50")
        floor_most+=("$p99")
        "$build/scrapes" "$socket" "$scrapes" >"$dir/scrapes"
        read -r p50 p99 <"$dir/scrapes"
        half+=("$p50")
        most+=("$p99")
    done
    stop "$floor"
    floor=
    end_fresh_daemon
    t=$(median "${half[@]}")
    f=$(median "${floor_half[@]}")
    row "scrape of $devices taps, p50; floor: one dump, and printing the lines" "$(calculate '%.2f ms' "$t")" \
        "$(calculate '%.2f ms' "$f")" "$(calculate '%.2f' "$t / $f")" "≤ 2, $(judge "$t / $f <= 2")"
    t=$(median "${most[@]}")
    f=$(median "${floor_most[@]}")
    row "scrape of $devices taps, p99" "$(calculate '%.2f ms' "$t")" "$(calculate '%.2f ms' "$f")" \
        "$(calculate '%.2f' "$t / $f")" –
}

start_floor_scrape() {
    # The first scrape adds a sample that appears only in later scrapes.
    scrape_names "$socket" >/dev/null
    sleep 0.3
    curl -sS --fail --unix-socket "$socket" -o "$dir/body" http://localhost/metrics
    nsenter --net="$namespace" -- "$build/floor_scrape" "$dir/floor.sock" "$dir/body" &
    floor=$!
    for _ in {1..100}; do
        [[ ! -S $dir/floor.sock ]] || break
        sleep 0.05
    done
    [[ $(scrape_names "$dir/floor.sock") == "$(scrape_names "$socket")" ]] || fail "floor_scrape sends other lines"
}

scrape_names() { curl -sS --fail --unix-socket "$1" http://localhost/metrics | sed '/^#/!s/ [^ ]*$//'; }

# GETs of a normal client beside clients that send slowly, stop sending, send invalid HTTP or do not read.
measure_hostile() {
    local run alone beside alone_all=() beside_all=() a b
    start_settled_daemon
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        "$build/hostile_clients" "$socket" /v1/devices/b0 "$hostile_clients" "$hostile_seconds" >"$dir/hostile"
        read -r alone beside <"$dir/hostile"
        alone_all+=("$alone")
        beside_all+=("$beside")
    done
    end_fresh_daemon
    a=$(median "${alone_all[@]}")
    b=$(median "${beside_all[@]}")
    row "GET of one device beside $hostile_clients hostile clients, p99; floor: alone" \
        "$(calculate '%.3f ms' "$b")" "$(calculate '%.3f ms' "$a")" "$(calculate '%.2f' "$b / $a")" \
        "≤ 2, $(judge "$b / $a <= 2")"
}

# Repairs and leases beside viewers that ask the dearest question again as soon as they have the answer.
measure_viewers() {
    local run first taps=$((devices / runs / 2)) leased=$devices number p50 _
    local repairs=() repairs_alone=() leases_alone=() leases_beside=()
    ((taps <= repair_devices)) || taps=$repair_devices
    ((leased <= viewed_leases)) || leased=$viewed_leases
    start_settled_daemon
    for ((number = 0; number < unmanaged_taps; number++)); do inside ip tuntap add dev "u$number" mode tap; done
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        first=$(((run - 1) * 2 * taps))
        read -r p50 _ < <(inside "$build/repair" "$first" "$taps")
        repairs_alone+=("$p50")
        read -r p50 _ < <("$build/lease_each" "$socket" "$leased" "$queues")
        leases_alone+=("$p50")
        sleep "$settle_seconds"
        "$build/viewers" "$socket" /v1/unmanaged "$viewers" >"$dir/viewers" &
        viewer=$!
        sleep "$settle_seconds"
        read -r p50 _ < <(inside "$build/repair" "$((first + taps))" "$taps")
        repairs+=("$p50")
        read -r p50 _ < <("$build/lease_each" "$socket" "$leased" "$queues")
        leases_beside+=("$p50")
        stop "$viewer"
        viewer=
        (($(<"$dir/viewers") >= viewers)) || fail "the viewers got only $(<"$dir/viewers") answers"
    done
    end_fresh_daemon
    row_beside_viewers "repair of a field" "$(median "${repairs[@]}")" "$(median "${repairs_alone[@]}")"
    row_beside_viewers "lease of $queues queues" "$(median "${leases_beside[@]}")" "$(median "${leases_alone[@]}")"
}

row_beside_viewers() {
    row "$1 beside $viewers viewers of unmanaged taps, p50; floor: alone" "$(calculate '%.3f ms' "$2")" \
        "$(calculate '%.3f ms' "$3")" "$(calculate '%.2f' "$2 / $3")" "≤ 2, $(judge "$2 / $3 <= 2")"
}

# ---- Memory and processor time

# Prints the memory of the kernel, in KiB. Slab has the devices with their queue arrays and sysfs entries, and large
# kmallocs; VmallocUsed has larger allocations, and the kernel's stacks; Percpu has the counters. MemAvailable would
# include the page cache and the daemon, and changes with everything that runs on the machine.
kernel_kib() {
    sleep "$settle_seconds"
    awk '/^(Slab|VmallocUsed|Percpu):/ { sum += $2 } END { print sum }' /proc/meminfo
}

measure_memory() {
    local run before after resident=() tapster_kernel=() floor_kernel=() r t f
    for ((run = 1; run <= long_runs; run++)); do
        progress "$run" "$long_runs"
        open_namespace
        before=$(kernel_kib)
        inside "$build/floor_create" "$devices" >/dev/null
        after=$(kernel_kib)
        close_namespace
        floor_kernel+=("$(calculate '%.1f' "($after - $before) / $devices")")

        start_fresh_daemon
        before=$(kernel_kib)
        apply "$devices" >/dev/null
        after=$(kernel_kib)
        tapster_kernel+=("$(calculate '%.1f' "($after - $before) / $devices")")
        resident+=("$(awk '/^VmRSS:/ { print $2 / 1024 }' "/proc/$daemon/status")")
        end_fresh_daemon
    done
    r=$(median "${resident[@]}")
    row "memory of the daemon (VmRSS) with $devices taps × $queues" "$(calculate '%.1f MiB' "$r")" – – \
        "≤ 64 MiB, $(judge "$r <= 64")"
    t=$(median "${tapster_kernel[@]}")
    f=$(median "${floor_kernel[@]}")
    row "memory of the kernel, per device" "$(calculate '%.0f KiB' "$t")" "$(calculate '%.0f KiB' "$f")" \
        "$(calculate '%.2f' "$t / $f")" "≤ 300 KiB, $(judge "$t <= 300")"
}

measure_idle() {
    local run before after idle=() i
    start_settled_daemon
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        before=$(processor_nanoseconds)
        sleep "$idle_seconds"
        after=$(processor_nanoseconds)
        idle+=("$(calculate '%.4f' "($after - $before) / 1e9 / $idle_seconds * 100")")
    done
    end_fresh_daemon
    i=$(median "${idle[@]}")
    row "processor use of the daemon, idle for $idle_seconds s" "$(calculate '%.2f %%' "$i")" – – \
        "0.0 %, $(judge "$i < 0.05")"
}

# Prints the processor time of the daemon's threads, in nanoseconds; /proc/PID/stat counts in hundredths of a second.
processor_nanoseconds() { awk '{ sum += $1 } END { printf "%.0f", sum }' "/proc/$daemon"/task/*/schedstat; }

# ---- Leases

stream_seconds=10
stream_kills=4
deaths=200
cycle_devices=100
cycle_daemon_kills=6

# lease_rows WHERE P50 P99 FLOOR-P50 FLOOR-P99: the times are medians of the runs, in milliseconds.
lease_rows() {
    row "lease of $queues queues$1, p50; floor: the same calls and sendmsg" "$(calculate '%.3f ms' "$2")" \
        "$(calculate '%.3f ms' "$4")" "$(calculate '%.2f' "$2 / $4")" \
        "≤ 1 ms, $(judge "$2 <= 1"); ≤ 3 × floor, $(judge "$2 <= 3 * $4")"
    row "lease of $queues queues$1, p99" "$(calculate '%.3f ms' "$3")" "$(calculate '%.3f ms' "$5")" \
        "$(calculate '%.2f' "$3 / $5")" "≤ 5 ms, $(judge "$3 <= 5")"
}

measure_lease() {
    local run p50 p99 sent50 sent99 floor_half=() floor_most=()
    local half=() most=() sent_half=() kept_half=() kept_most=() f50 f99
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        open_namespace
        inside "$build/floor_create" "$lease_devices" >/dev/null
        sleep "$settle_seconds"
        inside "$build/floor_lease" "$lease_devices" "$queues" >"$dir/lease"
        close_namespace
        read -r p50 p99 <"$dir/lease"
        floor_half+=("$p50") floor_most+=("$p99")

        lease_each
        half+=("$p50") most+=("$p99") sent_half+=("$sent50")
        lease_each "${keep[@]}"
        kept_half+=("$p50") kept_most+=("$p99")
    done
    f50=$(median "${floor_half[@]}")
    f99=$(median "${floor_most[@]}")
    lease_rows "" "$(median "${half[@]}")" "$(median "${most[@]}")" "$f50" "$f99"
    p50=$(median "${sent_half[@]}")
    row "lease of $queues queues, p50, without connecting" "$(calculate '%.3f ms' "$p50")" \
        "$(calculate '%.3f ms' "$f50")" "$(calculate '%.2f' "$p50 / $f50")" –
    lease_rows " under \`tapster keep\`" "$(median "${kept_half[@]}")" "$(median "${kept_most[@]}")" "$f50" "$f99"
}

# lease_each [WORD...]: leases all taps of a daemon that is started with these words; sets p50, p99, sent50 and sent99.
lease_each() {
    start_fresh_daemon "$@"
    apply "$lease_devices" >/dev/null
    sleep "$settle_seconds"
    "$build/lease_each" "$socket" "$lease_devices" "$queues" >"$dir/lease"
    read -r p50 p99 sent50 sent99 <"$dir/lease"
    end_fresh_daemon
}

measure_detach() {
    local run p50 p99 floor_half=() floor_most=() half=() most=() kept_half=() kept_most=() f50 f99
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        open_namespace
        inside "$build/floor_create" 1 >/dev/null
        inside "$build/consumer_deaths" "$deaths" "$queues" >"$dir/deaths"
        close_namespace
        read -r p50 p99 <"$dir/deaths"
        floor_half+=("$p50") floor_most+=("$p99")
        consumer_deaths
        half+=("$p50") most+=("$p99")
        consumer_deaths "${keep[@]}"
        kept_half+=("$p50") kept_most+=("$p99")
    done
    f50=$(median "${floor_half[@]}")
    f99=$(median "${floor_most[@]}")
    detach_rows "" "$(median "${half[@]}")" "$(median "${most[@]}")" "$f50" "$f99"
    detach_rows " under \`tapster keep\`" "$(median "${kept_half[@]}")" "$(median "${kept_most[@]}")" "$f50" "$f99"
}

detach_rows() {
    row "SIGKILL of a consumer until its $queues queues are detached$1, p50; floor: the kernel's own time" \
        "$(calculate '%.2f ms' "$2")" "$(calculate '%.2f ms' "$4")" "$(calculate '%.2f' "$2 / $4")" –
    row "SIGKILL of a consumer until its $queues queues are detached$1, p99" \
        "$(calculate '%.2f ms' "$3")" "$(calculate '%.2f ms' "$5")" "$(calculate '%.2f' "$3 / $5")" \
        "≤ 5 ms, $(judge "$3 <= 5")"
}

consumer_deaths() {
    start_fresh_daemon "$@"
    apply 1 >/dev/null
    inside "$build/consumer_deaths" "$deaths" "$queues" "$socket" >"$dir/deaths"
    read -r p50 p99 <"$dir/deaths"
    end_fresh_daemon
}

# Prints the state of the tap b0 that must survive a restart of the daemon, as one line.
place_of_b0() {
    inside ip -s -s -j link show b0 | grep -oE '"(ifindex|carrier_changes|carrier_up_count)":[0-9]+' | tr '\n' ' '
    curl -sS --fail --unix-socket "$socket" http://localhost/v1/devices/b0/queues |
        grep -oE '"(kernelIndex|attached)":[a-z0-9]+' | tr '\n' ' '
}

# Kills the daemon under "keep", where $daemon is the process of `tapster keep`, and waits until its successor is ready.
kill_daemon() {
    kill -KILL "$(kept_process)"
    sleep 0.1
    until [[ $(curl -sS --unix-socket "$socket" -o "$dir/answer" -w '%{http_code}' http://localhost/readyz 2>&1) == 200 ]]; do
        sleep 0.01
    done
}

kept_process() { awk '{ print $1 }' "/proc/$daemon/task/$daemon/children"; }

measure_survive() {
    local run before after sent lost moved on pause quiet_lost=0 all=0 all_lost=0 kills=0 places=the\ same i
    for ((run = 1; run <= long_runs; run++)); do
        progress "$run" "$long_runs"
        start_fresh_daemon "${keep[@]}"
        apply 1 >/dev/null
        inside "$build/stream" "$socket" "$queues" "$stream_seconds" >"$dir/stream"
        read -r sent lost moved on pause <"$dir/stream"
        echo "without kills: $sent sent, $lost lost, $moved moved, $on queues, $pause ms between reads" >&2
        quiet_lost=$((quiet_lost + lost))

        inside "$build/stream" "$socket" "$queues" "$stream_seconds" >"$dir/stream" &
        consumer=$!
        # The kernel reports a change of the carrier up to a second later.
        sleep 1.5
        before=$(place_of_b0)
        [[ $before == *ifindex*carrier_changes*kernelIndex* ]] || fail "the state of b0 is incomplete: $before"
        for ((i = 0; i < stream_kills; i++)); do
            kill_daemon
            sleep 0.5
        done
        after=$(place_of_b0)
        wait "$consumer" || fail "the stream failed; the daemon's log: $(tail -n 20 "$dir/log")"
        consumer=
        read -r sent lost moved on pause <"$dir/stream"
        echo "with $stream_kills kills: $sent sent, $lost lost, $moved moved, $on queues, $pause ms between reads" >&2
        [[ $on == "$queues" ]] || fail "packets arrived on $on queues"
        all=$((all + sent)) all_lost=$((all_lost + lost)) kills=$((kills + stream_kills))
        [[ $before == "$after" && $moved == 0 ]] || places="$before; $after; $moved packets on another queue"
        end_fresh_daemon
    done
    row "packets lost of $all, 20,000/s, the daemon killed $kills times; floor: not killed" "$all_lost" "$quiet_lost" – \
        "0, $(judge "$all_lost == 0")"
    row "ifindex, carrier_changes, kernel order and queue of each flow after these kills" "$places" – – \
        "the same, $(judge "\"$places\" == \"the same\"")"
}

measure_relaunch() {
    local run ready listed ready_times=() listed_times=()
    for ((run = 1; run <= long_runs; run++)); do
        progress "$run" "$long_runs"
        # A new "keep" each time, since it delays restarts after repeated early exits.
        start_fresh_daemon "${keep[@]}"
        apply "$leases" >/dev/null
        "$build/lease_each" "$socket" "$leases" "$queues" hold >"$dir/leased" &
        consumer=$!
        read -r _ <"$dir/leased" || fail "the leases were not granted"
        sleep "$settle_seconds"
        "$build/relaunch" "$socket" "$daemon" "$leases" >"$dir/relaunch"
        read -r ready listed <"$dir/relaunch"
        ready_times+=("$ready") listed_times+=("$listed")
        kill "$consumer"
        wait "$consumer" || fail "leases have ended"
        consumer=
        end_fresh_daemon
    done
    ready=$(median "${ready_times[@]}")
    listed=$(median "${listed_times[@]}")
    row "kill under \`tapster keep\` with $leases leases of $queues queues, until ready" \
        "$(calculate '%.2f s' "$ready")" – – "≤ 1 s, $(judge "$ready <= 1")"
    row "kill under \`tapster keep\` with $leases leases of $queues queues, until all are listed" \
        "$(calculate '%.2f s' "$listed")" – – "≤ 1 s, $(judge "$listed <= 1")"
}

measure_cycles() {
    local run consumers daemons killed=0 resident_before=() resident_after=() open_before open_after left=0 more=0 b a
    for ((run = 1; run <= long_runs; run++)); do
        progress "$run" "$long_runs"
        start_fresh_daemon "${keep[@]}"
        apply "$cycle_devices" >/dev/null
        "$build/lease_cycles" "$socket" "$cycle_devices" $((lease_cycles / 10)) >/dev/null
        sleep "$settle_seconds"
        resident_before+=("$(resident_mib)")
        open_before=$(open_descriptors)

        "$build/lease_cycles" "$socket" "$cycle_devices" "$lease_cycles" >"$dir/cycles"
        sleep "$settle_seconds"
        read -r consumers daemons <"$dir/cycles"
        killed=$((killed + consumers))
        resident_after+=("$(resident_mib)")

        "$build/lease_cycles" "$socket" "$cycle_devices" "$lease_cycles" "$daemon" "$cycle_daemon_kills" >"$dir/cycles"
        sleep "$settle_seconds"
        read -r consumers daemons <"$dir/cycles"
        killed=$((killed + consumers + daemons))
        open_after=$(open_descriptors)
        echo "descriptors: $open_before, then $open_after; left: $(left_behind); VmRSS ${resident_before[-1]}," \
            "then ${resident_after[-1]}, of the last daemon $(resident_mib)" >&2
        more=$((more + (open_after > open_before ? open_after - open_before : 0)))
        left=$((left + $(left_behind)))
        end_fresh_daemon
    done
    b=$(median "${resident_before[@]}")
    a=$(median "${resident_after[@]}")
    row "leases and kernel queues left after 2 × $lease_cycles lease cycles with $((killed / long_runs)) kills" \
        "$left" – – "0, $(judge "$left == 0")"
    row "further open descriptors of the daemon and \`tapster keep\` after these cycles" "$more" – – \
        "0, $(judge "$more == 0")"
    row "memory of the daemon (VmRSS) after $lease_cycles lease cycles; floor: before" "$(calculate '%.1f MiB' "$a")" \
        "$(calculate '%.1f MiB' "$b")" "$(calculate '%.2f' "$a / $b")" "≤ + 1 MiB, $(judge "$a <= $b + 1")"
}

resident_mib() { awk '/^VmRSS:/ { print $2 / 1024 }' "/proc/$(kept_process)/status"; }

open_descriptors() { find "/proc/$daemon/fd" "/proc/$(kept_process)/fd" -mindepth 1 2>/dev/null | wc -l; }

# Prints the number of leases, and of devices whose queues the kernel still has.
left_behind() {
    {
        curl -sS --fail --unix-socket "$socket" http://localhost/v1/leases | grep -o '"id":' || true
        inside ip -d -j link show type tun | grep -oE '"num(queues|disabled)":[1-9][0-9]*' || true
    } | wc -l
}

# ---- Durable writes and watches

measure_puts() {
    puts "this disk"
    SLOW_DISK_MICROSECONDS=200 LD_PRELOAD=$build/slow_disk.so puts "0.2 ms slower"
    SLOW_DISK_MICROSECONDS=2000 LD_PRELOAD=$build/slow_disk.so puts "2 ms slower"
}

# puts DISK: measures many clients at the same time, and one client.
puts() {
    local run seconds p50 p99 many=() one_half=() one_most=() floor=() floor_half=() floor_most=()
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs" "$1"
        rm -f "$dir"/floor.db*
        read -r seconds p50 p99 <<<"$("$build/floor_commit" "$dir/floor.db" "$put_count")"
        floor+=("$seconds") floor_half+=("$p50") floor_most+=("$p99")
        start_fresh_daemon
        read -r seconds p50 p99 <<<"$("$build/puts" "$socket" "$put_clients" "$put_count")"
        many+=("$seconds")
        read -r seconds p50 p99 <<<"$("$build/puts" "$socket" 1 "$put_count")"
        one_half+=("$p50") one_most+=("$p99")
        end_fresh_daemon
    done
    local t f
    t=$(calculate '%.0f' "$put_count / $(median "${many[@]}")") f=$(calculate '%.0f' "$put_count / $(median "${floor[@]}")")
    row "durable PUTs per second, $put_clients clients, $1; floor: SQLite with a commit each" "$t" "$f" \
        "$(calculate '%.2f' "$t / $f")" "≥ 3, $(judge "$t / $f >= 3")"
    row_of_commit "p50, $1" "$(median "${one_half[@]}")" "$(median "${floor_half[@]}")" –
    t=$(median "${one_most[@]}") f=$(median "${floor_most[@]}")
    row_of_commit "p99, $1" "$t" "$f" \
        "≤ 2 × floor + 1 ms = $(calculate '%.2f ms' "2000 * $f + 1"), $(judge "$t <= 2 * $f + 0.001")"
}

# row_of_commit PERCENTILE TAPSTER-SECONDS FLOOR-SECONDS GOAL
row_of_commit() {
    row "durable PUT of a single client, $1; floor: the commit" "$(calculate '%.2f ms' "1000 * $2")" \
        "$(calculate '%.2f ms' "1000 * $3")" "$(calculate '%.2f' "$2 / $3")" "$4"
}

measure_watch() {
    local run p50 p99 sent50 sent99 half=() most=() sent_half=() sent_most=()
    for ((run = 1; run <= runs; run++)); do
        progress "$run" "$runs"
        start_fresh_daemon
        "$build/watch_events" "$socket" "$watchers" "$watched_writes" >"$dir/watch"
        end_fresh_daemon
        read -r p50 p99 sent50 sent99 <"$dir/watch"
        half+=("$p50") most+=("$p99") sent_half+=("$sent50") sent_most+=("$sent99")
    done
    p99=$(median "${most[@]}")
    row "response to a PUT until $watchers watchers have its event, p50" \
        "$(calculate '%.2f ms' "$(median "${half[@]}")")" – – –
    row "response to a PUT until $watchers watchers have its event, p99" "$(calculate '%.2f ms' "$p99")" – – \
        "≤ 5 ms, $(judge "$p99 <= 5")"
    row "PUT sent until $watchers watchers have its event, p50 and p99" \
        "$(calculate '%.2f ms' "$(median "${sent_half[@]}")"), $(calculate '%.2f ms' "$(median "${sent_most[@]}")")" – – –
}
