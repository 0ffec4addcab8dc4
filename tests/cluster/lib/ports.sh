# shellcheck shell=bash
# Every port of a bed is its base port plus one of these. A bed uses less than 100 ports, so beds
# whose base ports are 100 apart do not meet. All listen on 127.0.0.1 only.
#
#   + 1  etcd, clients              + 2  etcd, peers
#   + 3  vtctld, HTTP               + 4  vtctld, gRPC
#   + 6  vtgate1, MySQL             ...  +14  vtgate9, MySQL
#   +21  vtgate1, HTTP              ...  +29  vtgate9, HTTP
#   +31  vtgate1, gRPC              ...  +39  vtgate9, gRPC
#   +40  vttablet100, HTTP          ...  +44  vttablet104, HTTP (102 to 104: with --spare)
#   +50  vttablet100, gRPC          ...  +54  vttablet104, gRPC
#   +60  mysqld100                  ...  +64  mysqld104

readonly PORT_ETCD=1 PORT_ETCD_PEER=2 PORT_VTCTLD_HTTP=3 PORT_VTCTLD_GRPC=4
readonly PORT_VTGATE_MYSQL=5 PORT_VTGATE_HTTP=20 PORT_VTGATE_GRPC=30 # plus the vtgate's number
readonly PORT_TABLET_HTTP=40 PORT_TABLET_GRPC=50 PORT_MYSQLD=60      # plus the tablet's number - 100

port() { printf '%s\n' $((BED_BASE_PORT + $1 + ${2:-0})); }

# ports_all GATES: every port that a bed needs.
ports_all() {
    local gate tablet
    port "$PORT_ETCD"
    port "$PORT_ETCD_PEER"
    port "$PORT_VTCTLD_HTTP"
    port "$PORT_VTCTLD_GRPC"
    for ((gate = 1; gate <= $1; gate++)); do
        port "$PORT_VTGATE_MYSQL" "$gate"
        port "$PORT_VTGATE_HTTP" "$gate"
        port "$PORT_VTGATE_GRPC" "$gate"
    done
    for tablet in 0 1 2 3 4; do
        port "$PORT_TABLET_HTTP" "$tablet"
        port "$PORT_TABLET_GRPC" "$tablet"
        port "$PORT_MYSQLD" "$tablet"
    done
}

# port_answers PORT: somebody listens there.
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ports_taken GATES: says which of a bed's ports somebody listens on; nothing if all are free.
ports_taken() {
    local number taken=()
    for number in $(ports_all "$1"); do
        port_answers "$number" && taken+=("$number")
    done
    [ "${#taken[@]}" = 0 ] || printf 'port %s\n' "${taken[*]}"
}

# http_get PORT PATH: the answer with its headers.
http_get() {
    local fd status
    { exec {fd}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&"$fd"
    timeout 3 cat <&"$fd"
    status=$?
    exec {fd}>&-
    return "$status"
}
