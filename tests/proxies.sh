#!/usr/bin/env bash
# Runs the configurations in packaging/ with the real nginx, Caddy and HAProxy (Debian: apt-get install nginx-light caddy
# haproxy) on free ports of the loopback, with a certificate signed by itself, before a real server; not part of the CI.
#
# Through each: the page, a list, a post, a WebSocket that says and hears something, the client's own address on the
# console, also for a client that claims another one. The client is 127.0.0.9, the proxy 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")/.."

program="${1:-target/release/catchup}"
for tool in nginx caddy haproxy openssl curl python3; do
    command -v "$tool" >/dev/null || { echo "tests/proxies.sh: $tool is missing" >&2; exit 1; }
done
work=$(mktemp -d)
chmod 755 "$work"
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_true() { for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "waited for: $*" >&2; return 1; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=chat.example.org \
    -addext subjectAltName=DNS:chat.example.org -keyout "$work/key.pem" -out "$work/fullchain.pem" 2>/dev/null
cat "$work/fullchain.pem" "$work/key.pem" > "$work/both.pem"

cat > "$work/client.py" <<'PYTHON'
import os, socket, ssl, sys

port, name, claims, certificate = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
raw = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=("127.0.0.9", 0))
context = ssl.create_default_context(cafile=certificate)
stream = context.wrap_socket(raw, server_hostname="chat.example.org")
claim = f"X-Forwarded-For: {claims}\r\n" if claims else ""
stream.sendall((f"GET /ws?username={name} HTTP/1.1\r\nHost: chat.example.org:{port}\r\nOrigin: https://chat.example.org:{port}\r\n"
                f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{claim}"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
heard = b""
def until(part):
    global heard
    while part not in heard:
        piece = stream.recv(65536)
        if not piece:
            sys.exit(f"{name}: ended after {heard!r}, want {part!r}")
        heard += piece
until(b"HTTP/1.1 101 ")
until(f"Welcome to the chat, {name}!".encode())
print("joined", flush=True)
text = f"{name} says hello".encode()
mask = os.urandom(4)
stream.sendall(bytes([0x81, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
until(b"a post from curl")
PYTHON

serve() { # name, arguments of the server
    local name=$1
    shift
    "$program" --ephemeral --host 127.0.0.1 --port 0 "$@" > "$work/$name.console" 2> "$work/$name.err" &
    server=$!
    pids+=("$server")
    until_true grep -q "Catchup takes" "$work/$name.err"
    backend=$(sed -n 's|.*http://127.0.0.1:||p' "$work/$name.err")
}

check() { # name, port
    local name=$1 port=$2
    ask() { curl -sS --max-time 10 --interface 127.0.0.9 --cacert "$work/fullchain.pem" --resolve "chat.example.org:$port:127.0.0.1" "$@"; }
    local at="https://chat.example.org:$port"
    until_true ask -f "$at/healthz"
    [ "$(ask -o /dev/null -w '%{http_code}' "$at/")" = 200 ]
    local version
    version=$(ask -o /dev/null -w '%{http_version}' "$at/readyz")
    for who in "plain:" "liar:198.51.100.1"; do
        local user="${who%%:*}" claims="${who#*:}"
        python3 "$work/client.py" "$port" "$user" "$claims" "$work/fullchain.pem" > "$work/$name.$user" &
        local client=$!
        until_true grep -q joined "$work/$name.$user"
        until_true grep -q "$user says hello" "$work/$name.console"
        [ "$(ask -o /dev/null -w '%{http_code}' -d '{"message":"a post from curl"}' "$at/api/messages?username=curl")" = 201 ]
        wait "$client"
        grep -q "User '$user' .* connected from 127.0.0.9$" "$work/$name.console" ||
            { echo "$name: not the client's address:" >&2; grep "connected from" "$work/$name.console" >&2; exit 1; }
    done
    [ "$(ask "$at/api/messages" | grep -o '"message":' | wc -l)" = 4 ]
    echo "$name: page, list, posts, WebSockets over TLS (curl spoke HTTP/$version); both clients shown as 127.0.0.9"
}

run_nginx() { # name, what stands for the backend
    local port
    port=$(free_port)
    { echo "daemon off; pid $work/nginx.pid; error_log $work/nginx.log;"
      echo "events {} http { access_log off;"
      for part in client_body proxy fastcgi uwsgi scgi; do echo "${part}_temp_path $work/$part;"; done
      sed -e "s|listen 443|listen 127.0.0.1:$port|" -e "s|/etc/ssl/catchup|$work|" -e "s|127.0.0.1:8000|$2|" packaging/nginx.conf
      echo "}"; } > "$work/$1.conf"
    nginx -e "$work/nginx.log" -c "$work/$1.conf" &
    pids+=("$!")
    check "$1" "$port"
}

serve nginx --trusted-proxy 127.0.0.1
run_nginx nginx "127.0.0.1:$backend"

# The socket's file is made with nobody else's rights; Debian's nginx runs its workers as another user.
umask 000
serve nginx-unix --unix "$work/catchup.sock"
umask 022
run_nginx nginx-unix "unix:$work/catchup.sock"

serve caddy --trusted-proxy 127.0.0.1
port=$(free_port)
{ echo "{"; echo "admin off"; echo "auto_https disable_redirects"; echo "}"
  sed -e "s|^chat.example.org {|chat.example.org:$port {\n\tbind 127.0.0.1\n\ttls $work/fullchain.pem $work/key.pem|" \
      -e "s|127.0.0.1:8000|127.0.0.1:$backend|" packaging/Caddyfile; } > "$work/Caddyfile"
XDG_DATA_HOME="$work" XDG_CONFIG_HOME="$work" caddy run --adapter caddyfile --config "$work/Caddyfile" 2> "$work/caddy.log" &
pids+=("$!")
check caddy "$port"

serve haproxy --trusted-proxy 127.0.0.1
port=$(free_port)
sed -e "s|bind :443|bind 127.0.0.1:$port|" -e "s|/etc/ssl/catchup|$work|" -e "s|127.0.0.1:8000|127.0.0.1:$backend|" \
    packaging/haproxy.cfg > "$work/haproxy.cfg"
haproxy -db -f "$work/haproxy.cfg" > "$work/haproxy.log" 2>&1 &
pids+=("$!")
check haproxy "$port"
# Its health check speaks for itself (LOCAL), and is answered.
grep -qi "is DOWN" "$work/haproxy.log" && { cat "$work/haproxy.log" >&2; exit 1; }
echo "haproxy: its check of /readyz was answered"
