#!/usr/bin/env bash
# The Autobahn test suite (fuzzingclient, all 517 cases) against examples/echo.rs on loopback.
# Called by `./test.sh --autobahn [group or case, as "6.*"]...`; wants Python 2.7 with pip, a C compiler and PyPI the first
# time; $PYTHON27 may name the interpreter. With --optional, what cannot be set up is told and passed over.
set -euo pipefail
cd "$(dirname "$0")/../.."

optional=
if [ "${1:-}" = --optional ]; then
    optional=1
    shift
fi

cannot() {
    echo "autobahn: $1" >&2
    [ -n "$optional" ] || exit 1
    echo "autobahn: SKIPPED; tests/websocket.rs has been asked the essential cases" >&2
    exit 0
}

python=
for candidate in "${PYTHON27:-}" python2.7 "$HOME"/.pyenv/versions/2.7*/bin/python2.7; do
    if [ -n "$candidate" ] && "$candidate" -c 'import ssl, zlib' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || cannot "no Python 2.7 was found, which the suite is written in: name one with PYTHON27=/path/to/python2.7"

home=${CARGO_TARGET_DIR:-target}/autobahn
mkdir -p "$home"
home=$(cd "$home" && pwd)
if ! cmp -s tests/autobahn/requirements.txt "$home/installed.txt"; then
    rm -rf "$home/packages"
    "$python" -W ignore -m pip -q --disable-pip-version-check install --no-deps \
        --target "$home/packages" -r tests/autobahn/requirements.txt >"$home/pip.log" 2>&1 ||
        cannot "the suite could not be installed (see $home/pip.log)"
    cp tests/autobahn/requirements.txt "$home/installed.txt"
fi

cargo build --locked --quiet --example echo
echo_pid=
trap '[ -z "$echo_pid" ] || kill "$echo_pid" 2>/dev/null || true' EXIT
"${CARGO_TARGET_DIR:-target}/debug/examples/echo" --port 0 >"$home/echo.log" 2>&1 &
echo_pid=$!
for _ in $(seq 100); do
    url=$(sed -n 's/^echo listens on //p' "$home/echo.log")
    [ -z "$url" ] || break
    sleep 0.1
done
[ -n "$url" ] || { cat "$home/echo.log" >&2; exit 1; }

"$python" tests/autobahn/suite.py "$home" "$url" "$@"
