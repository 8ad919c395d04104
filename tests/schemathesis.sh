#!/usr/bin/env bash
# Holds a running server against its own /openapi.json with Schemathesis (PyPI, MIT): ./test.sh --openapi [ITS OPTIONS].
# Downloads it into target/schemathesis at the first time (python3 with venv); takes about two minutes, and is not in CI.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
home="$target/schemathesis"
if [ ! -x "$home/bin/schemathesis" ]; then
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet "schemathesis==4.32.5"
fi
cargo build --locked --quiet
server="$target/debug/catchup"
config=$(realpath tests/schemathesis.toml)
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT

# One server without a token, then one with: $1 are its flags, the rest is Schemathesis's.
check() {
    local flags=$1 address=
    shift
    # shellcheck disable=SC2086  # the flags are words
    "$server" --host 127.0.0.1 --port 0 --data "$work/$RANDOM.db" --quiet $flags 2>"$work/said" &
    pid=$!
    for _ in $(seq 100); do
        address=$(sed -n 's/^Catchup listens on //p' "$work/said")
        [ -z "$address" ] || break
        sleep 0.1
    done
    # From there: it leaves what it learned in the working directory.
    (cd "$home" && bin/schemathesis --config-file "$config" run "$address/openapi.json" "$@")
    kill "$pid"
    wait "$pid"
    pid=
}

check "" --max-examples 200 --continue-on-failure "$@"
check "--token s3cret" --phases examples,coverage -H "Authorization: Bearer s3cret" "$@"
