#!/usr/bin/env bash
# What slow clients cost the others: 500 clients chat at 200 messages a second while slowhttptest (Debian) holds 5,000
# connections with unfinished heads, unfinished bodies, or answers that it hardly reads. Prints the chat's latencies with and
# without, the CPU time of server and attacker, and what became of the connections. Modes: none H B X.
# `CONNECTIONS=5000 ATTACKER_NICE=0 benches/slow.sh [SECONDS] [MODE...]`; with 19 the attacker takes only the cores' idle time,
# as if it had its own. After `cargo build --release --workspace`. One machine, loopback; a process must be able to open so many files.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
connections=${CONNECTIONS:-5000}
shift || true
modes=("${@:-none}")
[ $# -gt 0 ] || modes=(none H B X)
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
server='' slow=''
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
trap 'kill $server $slow 2>/dev/null || true; rm -rf "$work"' EXIT

for mode in "${modes[@]}"; do
    "$bin/catchup" --host 127.0.0.1 --port 0 --ephemeral --quiet --rate-limit off 2>"$work/server" &
    server=$!
    until grep -q 'listens on' "$work/server"; do sleep 0.05; done
    url=$(sed -n 's/.*listens on //p' "$work/server")
    slow=
    case $mode in
    none) name='nobody else' ;;
    H) name='slow heads' more=(-H -i 5 -x 24) ;;
    B) name='slow bodies' more=(-B -i 5 -s 8192 -x 10) ;;
    X) name='slow reading' more=(-X -w 64 -y 512 -z 32 -n 5 -k 3) ;;
    esac
    if [ "$mode" != none ]; then
        target=$url/
        [ "$mode" != B ] || target="$url/api/messages?username=slow"
        # It ends when the server has closed all connections: then it comes again.
        (
            end=$((SECONDS + seconds))
            while [ $SECONDS -lt $end ]; do
                nice -n "${ATTACKER_NICE:-0}" slowhttptest "${more[@]}" -c "$connections" -r 4000 -l $((end - SECONDS)) -u "$target" -p 3 -v 1
            done
            times
        ) >"$work/slow" 2>&1 &
        slow=$!
        sleep 4
    fi
    echo "== $name"
    before=$(ticks "$server")
    "$bin/load" --url "ws://${url#http://}" --pid "$server" --mode rate --rate 200 --clients 500 \
        --seconds $((seconds - 8)) --warmup 2 || true
    echo "server: $((($(ticks "$server") - before) * 1000 / $(getconf CLK_TCK))) ms of CPU meanwhile"
    grep -E 'VmRSS|VmHWM' "/proc/$server/status"
    if [ -n "$slow" ]; then
        wait "$slow" || true
        echo "attacker, whole run: $(tail -n 1 "$work/slow") (user, system)"
        # Each round: how many were connected, closed by the server, and how it ended.
        sed 's/\x1b\[[0-9;]*m//g' "$work/slow" | tr -d '\r' |
            grep -E '^(connected|error|closed|service available|Test ended|Exit status)' | grep -A1 -B4 '^Test ended' || true
    fi
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
done
