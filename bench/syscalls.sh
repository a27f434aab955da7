#!/bin/bash
# System calls per request of Weir under load: strace -c over the whole process while hammer runs a closed loop.
# usage: syscalls.sh [SECONDS [PATH]]     exits with 1 above the budget (BUDGET, 4.2)
# strace is attached once Weir is ready, and taken off when the load has ended: all requests are counted, start-up is not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${1:-5} path=${2:-/} budget=${BUDGET:-4.2}
tools=${TOOLS:-$here/../build/bench-tools}
mkdir -p "$tools" && tools=$(cd "$tools" && pwd)
[ "$tools/hammer" -nt "$here/hammer.cpp" ] || g++ -std=c++20 -O2 "$here/hammer.cpp" -o "$tools/hammer" -lssl -lcrypto
[ -e "$tools/cert.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj /CN=hello.com -addext subjectAltName=DNS:hello.com -keyout "$tools/key.pem" -out "$tools/cert.pem" 2>/dev/null
export HERE=$here/weir RUN=$tools/run/syscalls TOOLS=$tools WORKERS=1 CERT=$tools/cert.pem KEY=$tools/key.pem
export HTTP_PORT=18080 TLS_PORT=18443 B1_PORT=19001 B2_PORT=19002
rm -rf "$RUN" && mkdir -p "$RUN"
. "$here/plug.sh"
. "$HERE/plug.sh"

(start) >"$RUN/out.log" 2>&1 & weir=$!
trap 'kill $weir 2>/dev/null || true' EXIT
for _ in $(seq 100); do # any answer will do: the backends are not up yet
    curl -s -o /dev/null http://127.0.0.1:$HTTP_PORT/ && break
    kill -0 $weir 2>/dev/null || { cat "$RUN/out.log"; exit 1; }
    sleep 0.1
done

strace -f -c -U calls,errors,name -S calls -o "$RUN/strace.txt" -p $weir 2>"$RUN/strace.log" & tracer=$!
until grep -q TracerPid:.*[1-9] /proc/$weir/status; do kill -0 $tracer || { cat "$RUN/strace.log"; exit 1; }; done
"$tools/hammer" --serve $B1_PORT,$B2_PORT --port $HTTP_PORT --conns 64 --warm 0 --seconds "$seconds" --path "$path" > "$RUN/hammer.json"
kill -INT $tracer
wait $tracer || true

cat "$RUN/strace.txt" "$RUN/hammer.json"
calls=$(awk '$NF != "total" && $1 ~ /^[0-9]+$/ {n += $1} END {print n + 0}' "$RUN/strace.txt")
read -r requests bad lost < <(sed -E 's/.*"requests": ([0-9]+).*"bad": ([0-9]+), "lost": ([0-9]+).*/\1 \2 \3/' "$RUN/hammer.json")
awk -v c="$calls" -v r="$requests" -v b="$budget" -v bad="$bad" -v lost="$lost" 'BEGIN {
    printf "%d system calls, %d requests (%d bad, %d lost): %.2f a request, budget %s\n", c, r, bad, lost, c / r, b
    exit c / r > b || bad || lost }'
