#!/usr/bin/env bash
# Takes the pictures of the README anew: docs/images/{light,dark,phone,summary}.png; with --film the film strips of the
# page's main scene: docs/images/film-{light,dark,phone}.png. Needs Chromium, as the tests do.
# `docs/screenshots.sh` uses the release build; `PROFILE=dev docs/screenshots.sh` the debug build.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --profile "${PROFILE:-release}" --bin catchup
cargo run --locked --profile "${PROFILE:-release}" --example screenshots -- "$@" docs/images
