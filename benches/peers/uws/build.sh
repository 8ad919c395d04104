#!/bin/sh
# Builds the uWebSockets peer. Its C++ sources come in the crate libuwebsockets-sys, which cargo
# fetches for ../rust without building it. Needs g++ with C++20.
set -eu
cd "$(dirname "$0")"
manifest=$(cargo metadata --format-version 1 --all-features --manifest-path ../rust/Cargo.toml |
    grep -o '"manifest_path":"[^"]*libuwebsockets-sys[^"]*"' | head -1 | cut -d'"' -f4)
sources=$(dirname "$manifest")/uWebSockets
mkdir -p build
for source in bsd context loop socket udp eventing/epoll_kqueue; do
    cc -O3 -DLIBUS_NO_SSL -std=c11 -I"$sources/uSockets/src" -c "$sources/uSockets/src/$source.c" \
        -o "build/$(basename "$source").o"
done
c++ -O3 -std=c++20 -DLIBUS_NO_SSL -DUWS_NO_ZLIB -I"$sources/src" -I"$sources/uSockets/src" uws.cpp build/*.o -o build/uws-chat
