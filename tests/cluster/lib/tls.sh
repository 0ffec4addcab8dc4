# shellcheck shell=bash
# Throw-away certificates for one bed, in BED_DIR/tls: ca.pem, server.pem and server-key.pem for
# localhost, client.pem and client-key.pem with the common name `app`. Needs common.sh.

tls_create() {
    local dir=$BED_DIR/tls
    mkdir -p "$dir" || return
    have openssl || die "openssl is needed for --tls"
    tls_run "$dir" req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj '/CN=vtshim test bed CA' -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca-key.pem -out ca.pem || return
    tls_sign "$dir" server '/CN=localhost' \
        'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' serverAuth || return
    # vtgate's clientcert login takes the user's name from the common name.
    tls_sign "$dir" client '/CN=app' 'subjectAltName=DNS:app' clientAuth || return
    # The bed's servers run as another user; these keys protect nothing.
    chmod 755 "$dir" && chmod 644 "$dir"/*.pem
}

tls_sign() {
    local dir=$1 name=$2 subject=$3 names=$4 usage=$5
    tls_run "$dir" req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "$subject" -keyout "$name-key.pem" -out "$name.csr" || return
    printf '%s\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n' "$names" "$usage" >"$dir/$name.ext"
    tls_run "$dir" x509 -req -in "$name.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 \
        -extfile "$name.ext" -out "$name.pem"
}

tls_run() {
    local dir=$1
    shift
    (cd "$dir" && openssl "$@") >>"$BED_DIR/logs/tls.log" 2>&1 || {
        say "openssl failed:"
        show_tail "$BED_DIR/logs/tls.log" 8
        return 1
    }
}
