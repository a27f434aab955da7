title="Weir"
can="http tls"
bin() { echo "${WEIR:-${WEIR_BIN:-$HERE/../../build/release/weir}}"; }
have() { [ -x "$(bin)" ]; }
version() { "$(bin)" version | head -1; }
start() { fill weir.conf hello.yaml; exec "$(bin)" run -c "$RUN/weir.conf"; }
