#!/usr/bin/env bash
# What slow clients cost the others: 500 clients chat at 200 messages a second while slowhttptest (Debian) holds 5,000
# connections with unfinished heads, unfinished bodies, or answers that it hardly reads. Prints the chat's latencies with and
# without, what the server itself saw (its /metrics), the CPU time of server and attacker, and what became of the connections.
# `CONNECTIONS=5000 ATTACKER='nice -n 0' benches/slow.sh [SECONDS] [MODE...]`. Modes: none H B X, and oH oB oX: the same attack on
# another server of this machine, which tells what the attacker alone takes from the chat. `ATTACKER='chrt --idle 0'` lets the
# attacker have only the cores' idle time, as if it had its own. After `cargo build --release --workspace`. One machine, loopback;
# a process must be able to open so many files.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
connections=${CONNECTIONS:-5000}
shift || true
modes=("${@:-none}")
[ $# -gt 0 ] || modes=(none H B X)
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
server='' other='' slow=''

# Starts a server and sets `url` and `pid`.
start() {
    "$bin/catchup" --host 127.0.0.1 --port 0 --ephemeral --quiet --rate-limit off 2>"$work/$1" &
    pid=$!
    until grep -q 'listens on' "$work/$1"; do sleep 0.05; done
    url=$(sed -n 's/.*listens on //p' "$work/$1")
}
# The quantiles of a histogram between two texts of /metrics: the upper end of the bucket that holds them, in ms.
quantiles() {
    sed -n "s/^$1_bucket{le=\"\(.*\)\"} \(.*\)/\1 \2/p" "$work/before" >"$work/from"
    sed -n "s/^$1_bucket{le=\"\(.*\)\"} \(.*\)/\1 \2/p" "$work/after" | paste -d' ' - "$work/from" | awk -v name="$1" '
        { le[NR] = $1; n[NR] = $2 - $4 }
        function quantile(q,    i) { for (i = 1; i < NR && n[i] < q * n[NR]; i++); return le[i] == "+Inf" ? "more" : le[i] * 1000 }
        END { printf "%s: %d; p50 <= %s, p99 <= %s, p99.9 <= %s, max <= %s ms\n", name, n[NR], quantile(.5), quantile(.99), quantile(.999), quantile(1) }'
}
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
trap 'kill $server $other $slow 2>/dev/null || true; rm -rf "$work"' EXIT

for mode in "${modes[@]}"; do
    start server
    server=$pid target=$url other=
    if [[ $mode == o? ]]; then
        chat=$url
        start other
        other=$pid target=$url url=$chat
    fi
    slow=
    case ${mode#o} in
    none) name='nobody else' ;;
    H) name='slow heads' more=(-H -i 5 -x 24) ;;
    B) name='slow bodies' more=(-B -i 5 -s 8192 -x 10) ;;
    X) name='slow reading' more=(-X -w 64 -y 512 -z 32 -n 5 -k 3) ;;
    esac
    [ -z "$other" ] || name="$name at another server"
    if [ "$mode" != none ]; then
        target=$target/
        [ "${mode#o}" != B ] || target="${target}api/messages?username=slow"
        # It ends when the server has closed all connections: then it comes again.
        (
            end=$((SECONDS + seconds))
            while [ $SECONDS -lt $end ]; do
                ${ATTACKER:-} slowhttptest "${more[@]}" -c "$connections" -r 4000 -l $((end - SECONDS)) -u "$target" -p 3 -v 1
            done
            times
        ) >"$work/slow" 2>&1 &
        slow=$!
        sleep 4
    fi
    echo "== $name"
    before=$(ticks "$server")
    curl -s "$url/metrics" >"$work/before"
    "$bin/load" --url "ws://${url#http://}" --pid "$server" --mode rate --rate 200 --clients 500 \
        --seconds $((seconds - 8)) --warmup 2 || true
    echo "server: $((($(ticks "$server") - before) * 1000 / $(getconf CLK_TCK))) ms of CPU meanwhile"
    curl -s "$url/metrics" >"$work/after"
    quantiles catchup_turn_seconds
    quantiles catchup_delivery_seconds
    grep -E 'VmRSS|VmHWM' "/proc/$server/status"
    if [ -n "$slow" ]; then
        wait "$slow" || true
        echo "attacker, whole run: $(tail -n 1 "$work/slow") (user, system)"
        # Each round: how many were connected, closed by the server, and how it ended.
        sed 's/\x1b\[[0-9;]*m//g' "$work/slow" | tr -d '\r' |
            grep -E '^(connected|error|closed|service available|Test ended|Exit status)' | grep -A1 -B4 '^Test ended' || true
    fi
    kill "$server" $other
    wait "$server" $other 2>/dev/null || true
    server='' other=''
done
