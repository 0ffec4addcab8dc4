# shellcheck shell=bash
# `bed up`: etcd, vtctld, keyspace commerce with the shards -80 and 80- (or with --unsharded only
# one), one tablet each on a real MySQL, and the vtgates. Needs the other files of this folder.

readonly KEYSPACE=commerce ASIDE=aside CELL=zone1

# Sets SHARDS: of the keyspace; TABLET_SHARDS and TABLET_KEYSPACES: of the tablets 100, 101 ..., in
# this order. First the primaries, then with --spare their replicas and the tablet of keyspace aside.
up_shards() {
    local number
    if [ -n "$BED_UNSHARDED" ]; then SHARDS=(-); else SHARDS=(-80 80-); fi
    TABLET_SHARDS=("${SHARDS[@]}")
    [ -z "$BED_SPARE" ] || TABLET_SHARDS+=("${SHARDS[@]}")
    TABLET_KEYSPACES=()
    for number in "${!TABLET_SHARDS[@]}"; do TABLET_KEYSPACES[number]=$KEYSPACE; done
    [ -z "$BED_SPARE" ] || TABLET_SHARDS+=(-) TABLET_KEYSPACES+=("$ASIDE")
}

# Called with BED_* options set and BED_DIR fresh; says what failed and returns non-zero.
up() {
    local began=$SECONDS
    up_prepare && up_define || return
    up_start_servers && up_create_keyspace && up_start_tablets && up_load_schema && up_start_gates || return
    touch "$BED_DIR/ready"
    say "- bed $BED_NAME is up ($((SECONDS - began)) s)"
}

up_prepare() {
    mkdir -p "$BED_DIR"/{programs,pids,logs,tmp,etcd} || return
    if [ -n "$BED_TLS" ]; then tls_create || return; fi
    [ "$BED_AUTH" != static ] || up_users >"$BED_DIR/users.json"
    up_mysql_cnf >"$BED_DIR/extra.cnf"
    chown "$RUN_UID:$RUN_GID" "$BED_DIR" "$BED_DIR"/{tmp,etcd} || return
    chmod 700 "$BED_DIR/etcd" # etcd insists
}

# vtgate's users: the ones that can be named in --vschema-ddl-authorized-users or a table ACL.
up_users() {
    cat <<-'EOF'
	{
	  "app":    [{"Password": "app_secret",    "UserData": "app"}],
	  "dba":    [{"Password": "dba_secret",    "UserData": "dba"}],
	  "reader": [{"Password": "reader_secret", "UserData": "reader"}]
	}
	EOF
}

up_mysql_cnf() {
    printf '[mysqld]\nbind-address = 127.0.0.1\n'
    # Nobody needs this data after a power cut; commits that do not wait for the disk keep tests quick. But each is the
    # kernel's (2, not 0): a mysqld that is killed must not lose what it acknowledged.
    printf 'innodb_flush_log_at_trx_commit = 2\nsync_binlog = 0\ninnodb_buffer_pool_size = 64M\n'
    [ -z "$MYSQL_EXTRA_CNF" ] || printf '%s\n' "$MYSQL_EXTRA_CNF"
}

up_define() {
    local number gate address
    address=127.0.0.1:$(port "$PORT_ETCD")
    local topo=(--topo-implementation etcd2 --topo-global-server-address "$address" --topo-global-root /vitess/global)
    local own=(--bind-address 127.0.0.1 --grpc-bind-address 127.0.0.1)

    process_define etcd "$ETCD" --data-dir "$BED_DIR/etcd" \
        --listen-client-urls "http://$address" --advertise-client-urls "http://$address" \
        --listen-peer-urls "http://127.0.0.1:$(port "$PORT_ETCD_PEER")" \
        --initial-advertise-peer-urls "http://127.0.0.1:$(port "$PORT_ETCD_PEER")" \
        --initial-cluster "default=http://127.0.0.1:$(port "$PORT_ETCD_PEER")"
    process_define vtctld "$VITESS_BIN/vtctld" "${topo[@]}" "${own[@]}" --cell "$CELL" \
        --service-map grpc-vtctl,grpc-vtctld --port "$(port "$PORT_VTCTLD_HTTP")" --grpc-port "$(port "$PORT_VTCTLD_GRPC")"
    for number in "${!TABLET_SHARDS[@]}"; do
        # `init` is replaced by `start` once the data exist: see process_start.
        process_define "mysqld$((100 + number))" "$VITESS_BIN/mysqlctl" --tablet-uid $((100 + number)) \
            --mysql-port "$(port "$PORT_MYSQLD" "$number")" start
        process_define "vttablet$((100 + number))" "$VITESS_BIN/vttablet" "${topo[@]}" "${own[@]}" \
            --tablet-path "$CELL-0000000$((100 + number))" --tablet-hostname 127.0.0.1 \
            --init-keyspace "${TABLET_KEYSPACES[number]}" --init-shard="${TABLET_SHARDS[number]}" --init-tablet-type replica \
            --port "$(port "$PORT_TABLET_HTTP" "$number")" --grpc-port "$(port "$PORT_TABLET_GRPC" "$number")" \
            --service-map grpc-queryservice,grpc-tabletmanager,grpc-updatestream \
            --health-check-interval 2s --migration-check-interval 2s --restore-from-backup=false \
            "${BED_VTTABLET_ARGS[@]}"
    done
    for ((gate = 1; gate <= BED_GATES; gate++)); do
        process_define "vtgate$gate" "$VITESS_BIN/vtgate" "${topo[@]}" "${own[@]}" --cell "$CELL" \
            --cells-to-watch "$CELL" --tablet-types-to-wait PRIMARY --service-map grpc-vtgateservice \
            --mysql-server-bind-address 127.0.0.1 --mysql-server-port "$(port "$PORT_VTGATE_MYSQL" "$gate")" \
            --port "$(port "$PORT_VTGATE_HTTP" "$gate")" --grpc-port "$(port "$PORT_VTGATE_GRPC" "$gate")" \
            --vschema-ddl-authorized-users % "${UP_AUTH_ARGS[@]}" "${BED_VTGATE_ARGS[@]}"
    done
}

up_auth_args() {
    case $BED_AUTH in
    none) UP_AUTH_ARGS=(--mysql-auth-server-impl none) ;;
    static) UP_AUTH_ARGS=(--mysql-auth-server-impl static --mysql-auth-server-static-file "$BED_DIR/users.json") ;;
    clientcert)
        # With a CA vtgate demands a client certificate of everybody, hence only here.
        UP_AUTH_ARGS=(--mysql-auth-server-impl clientcert --mysql-clientcert-auth-method mysql_clear_password
            --mysql-server-ssl-ca "$BED_DIR/tls/ca.pem")
        ;;
    esac
    [ -z "$BED_TLS" ] || UP_AUTH_ARGS+=(--mysql-server-ssl-cert "$BED_DIR/tls/server.pem" --mysql-server-ssl-key "$BED_DIR/tls/server-key.pem")
}

up_start_servers() {
    local topo address number
    address=127.0.0.1:$(port "$PORT_ETCD")
    topo=(--server internal --topo-implementation etcd2 --topo-global-server-address "$address" --topo-global-root /vitess/global)
    # Creating MySQL's data takes longest: it goes on while the others start.
    for number in "${!TABLET_SHARDS[@]}"; do up_spawn_init "$number"; done
    process_spawn etcd
    wait_until 30 etcd "etcd is healthy" etcd_healthy || return
    wait_until 30 etcd "the cell is known" "$VITESS_BIN/vtctldclient" "${topo[@]}" \
        AddCellInfo --root "/vitess/$CELL" --server-address "$address" "$CELL" || return
    process_spawn vtctld
    wait_until 30 vtctld "vtctld answers" vtctl GetCellInfoNames
}

up_spawn_init() {
    local name=init$((100 + $1))
    process_define "$name" "$VITESS_BIN/mysqlctl" --tablet-uid $((100 + $1)) --mysql-port "$(port "$PORT_MYSQLD" "$1")" init
    process_spawn "$name"
    UP_INIT_PIDS[$1]=$!
}

up_create_keyspace() {
    local keyspace
    for keyspace in $(printf '%s\n' "${TABLET_KEYSPACES[@]}" | sort -u); do
        up_step vtctld "create keyspace $keyspace" vtctl CreateKeyspace --durability-policy=none "$keyspace" || return
    done
}

up_start_tablets() {
    local number status
    for number in "${!TABLET_SHARDS[@]}"; do
        status=0
        wait "${UP_INIT_PIDS[number]}" || status=$?
        if ((status)); then
            say "mysqlctl could not start MySQL (exit status $status). The end of its log:"
            process_show_log "init$((100 + number))"
            show_tail "$BED_DIR/vt_0000000$((100 + number))/error.log" 15
            return 1
        fi
        rm -f "$BED_DIR/programs/init$((100 + number)).cmd" "$BED_DIR/pids/init$((100 + number)).pid"
        mysqld_note $((100 + number)) || return
        process_spawn "vttablet$((100 + number))"
    done
    for number in "${!TABLET_SHARDS[@]}"; do
        wait_until 60 "vttablet$((100 + number))" "tablet $((100 + number)) is registered" \
            tablet_registered $((100 + number)) || return
    done
    for number in "${!TABLET_SHARDS[@]}"; do
        is_replica "$number" && continue
        # The tablet needs a moment between registering and answering.
        wait_until 60 "vttablet$((100 + number))" "tablet $((100 + number)) is the primary of ${TABLET_SHARDS[number]}" \
            vtctl PlannedReparentShard "${TABLET_KEYSPACES[number]}/${TABLET_SHARDS[number]}" --new-primary "$CELL-0000000$((100 + number))" || return
    done
}

# is_replica NUMBER: of a tablet of keyspace commerce that has a primary already.
is_replica() { [ "${TABLET_KEYSPACES[$1]}" = "$KEYSPACE" ] && (($1 >= ${#SHARDS[@]})); }

up_load_schema() {
    local file vschema=vschema.json
    [ -z "$BED_UNSHARDED" ] || vschema=unsharded.json
    for file in "$HERE"/schema/*.sql; do
        up_step vttablet100 "apply $file" vtctl ApplySchema --ddl-strategy direct --sql "$(<"$file")" "$KEYSPACE" || return
    done
    up_step vtctld "apply the VSchema" vtctl ApplyVSchema --vschema-file "$HERE/schema/$vschema" "$KEYSPACE"
}

up_start_gates() {
    local gate
    for ((gate = 1; gate <= BED_GATES; gate++)); do process_spawn "vtgate$gate"; done
    for ((gate = 1; gate <= BED_GATES; gate++)); do
        wait_until 60 "vtgate$gate" "vtgate$gate serves all shards" gate_serves "$gate" || return
    done
}

# up_step PROGRAM WHAT COMMAND...: a command that has to succeed at once.
up_step() {
    local program=$1 what=$2
    shift 2
    "$@" >"$BED_DIR/logs/step.log" 2>&1 || {
        say "Could not $what:"
        show_tail "$BED_DIR/logs/step.log" 8
        say "The end of the log of $program:"
        process_show_log "$program"
        return 1
    }
}

vtctl() { timeout 60 "$VITESS_BIN/vtctldclient" --server "127.0.0.1:$(port "$PORT_VTCTLD_GRPC")" "$@"; }

etcd_healthy() { http_get "$(port "$PORT_ETCD")" /health | grep -q '"health": *"true"'; }

tablet_registered() { vtctl GetTablets | grep "^$CELL-0*$1 "; }

# mysqld_note UID: takes mysqld's process id from its own file.
mysqld_note() {
    local pid
    read -r pid <"$BED_DIR/vt_0000000$1/mysql.pid" && process_note "mysqld$1" "$pid"
}

# gate_query NUMBER SQL
gate_query() {
    local tls=("$CLIENT_TLS_OFF")
    [ -z "$BED_TLS" ] || tls=(--ssl-ca="$BED_DIR/tls/ca.pem" --ssl-cert="$BED_DIR/tls/client.pem" --ssl-key="$BED_DIR/tls/client-key.pem")
    timeout 20 env "MYSQL_PWD=$BED_PASSWORD" "${CLIENT[@]}" --protocol=TCP -h 127.0.0.1 -P "$(port "$PORT_VTGATE_MYSQL" "$1")" \
        -u "$BED_USER" "${tls[@]}" -N -B "$KEYSPACE" -e "$2"
}

# All primaries known, and reading and writing works: eight neighbouring rows always fall into both
# shards. Each vtgate has its own, and leaves none behind.
gate_serves() {
    local low=$((-100 * $1 - 50)) answer
    [ "$(gate_query "$1" "SHOW VITESS_TABLETS" | grep -c "$KEYSPACE.*PRIMARY.*SERVING")" = "${#SHARDS[@]}" ] || return
    answer=$(gate_query "$1" "
        DELETE FROM demo WHERE id BETWEEN $low AND $((low + 7));
        INSERT INTO demo (id, status) VALUES ($low,'x'),($((low + 1)),'x'),($((low + 2)),'x'),($((low + 3)),'x'),
                                ($((low + 4)),'x'),($((low + 5)),'x'),($((low + 6)),'x'),($((low + 7)),'x');
        SELECT count(*) FROM demo WHERE id BETWEEN $low AND $((low + 7));
        DELETE FROM demo WHERE id BETWEEN $low AND $((low + 7));
        SELECT count(*) FROM customer;") || return
    [ "${answer%%$'\n'*}" = 8 ]
}
