title="Weir on PostgreSQL"
can="http tls"
bin() { echo "${WEIR:-${WEIR_BIN:-$HERE/../../build/release/weir}}"; }
pg() { echo /usr/lib/postgresql/*/bin; }
# PostgreSQL refuses to be root.
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
have() { [ -x "$(bin)" ] && [ -x "$(pg)/postgres" ]; }
get() { apt_get postgresql; }
version() { "$(bin)" version | head -1; }
# The database lies beside the proxy's processes, not among them: its CPU time is not the proxy's.
start() {
    local data
    data=$(mktemp -d /tmp/weir-bench-pg.XXXXXX)
    [ "$(id -u)" != 0 ] || chown postgres "$data"
    as_postgres "$(pg)/initdb" -D "$data/data" -U kong -A trust -N >/dev/null
    as_postgres "$(pg)/pg_ctl" -D "$data/data" -l "$data/log" -w -o "-p $((HTTP_PORT + 7)) -c listen_addresses=127.0.0.1 -c unix_socket_directories=$data" start >/dev/null
    "$(pg)/createdb" -h 127.0.0.1 -p $((HTTP_PORT + 7)) -U kong kong
    fill weir.conf hello.yaml
    sed -i '/^database\|^declarative_config/d' "$RUN/weir.conf"
    printf '%s\n' "database = postgres" "pg_host = 127.0.0.1" "pg_port = $((HTTP_PORT + 7))" "pg_user = kong" "pg_database = kong" >>"$RUN/weir.conf"
    "$(bin)" migrations bootstrap -c "$RUN/weir.conf" && "$(bin)" config import "$RUN/hello.yaml" -c "$RUN/weir.conf"
    ( tail --pid=$$ -f /dev/null; as_postgres "$(pg)/pg_ctl" -D "$data/data" -m immediate stop; rm -rf "$data" ) >/dev/null 2>&1 &
    exec "$(bin)" run -c "$RUN/weir.conf"
}
