#!/usr/bin/env bash
# Installs what the tests need (Debian packages, when root) and runs all tests.
# Its last line counts them over all test programs: "tests: N passed, N failed".
# With --llm it runs instead the tests against real OpenAI-compatible services, which it downloads (tests/llm/run.sh);
# with --autobahn the WebSocket test suite of that name against examples/echo.rs (tests/autobahn/run.sh); with --openapi
# the answers of a server against its own /openapi.json, by Schemathesis (tests/schemathesis.sh).
set -euo pipefail
cd "$(dirname "$0")"

if [ "${1:-}" = --llm ]; then
    shift
    exec tests/llm/run.sh "$@"
fi
if [ "${1:-}" = --autobahn ]; then
    shift
    exec tests/autobahn/run.sh "$@"
fi
if [ "${1:-}" = --openapi ]; then
    shift
    exec tests/schemathesis.sh "$@"
fi

# The tests of the page run in a real Chromium; one of them wants npm, for axe-core. A clock is set back with libfaketime:
# without it, or without root, which mounts small disks, the tests of such faults say that they were passed over.
missing=()
command -v chromium >/dev/null 2>&1 || missing+=(chromium)
command -v npm >/dev/null 2>&1 || missing+=(npm)
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && ! compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; then
    missing+=(libfaketime)
fi
if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "test.sh: the tests of the page need ${missing[*]}: install it (Debian: apt-get install ${missing[*]})" >&2
        exit 1
    fi
fi

# axe-core (MPL-2.0) judges the page for screen readers; without npm or its registry that one test fails and says so.
axe="${CARGO_TARGET_DIR:-target}/axe"
if ! grep -qs '"version": "4.14.1"' "$axe/node_modules/axe-core/package.json"; then
    npm install --prefix "$axe" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error axe-core@4.14.1 >&2 ||
        echo "test.sh: axe-core could not be installed (it takes npm: Debian's package npm)" >&2
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked "$@" 2>&1 | tee "$log" || status=$?

awk '/^test result:/ { passed += $4; failed += $6 }
     END { printf "tests: %d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
