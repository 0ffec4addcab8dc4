# shellcheck shell=bash
# Starting and stopping single programs of a bed that is up, for tests of failures. Needs the other
# files of this folder.

# process_start NAME: starts it and waits until it answers.
process_start() {
    local name=$1 status=0
    process_pid "$name" >/dev/null && {
        say "$name runs already"
        return
    }
    case $name in
    mysqld*)
        # mysqlctl ends when MySQL answers.
        process_spawn "$name"
        wait $! || status=$?
        if ((status)); then
            say "$name did not start:"
            process_show_log "$name"
            return 1
        fi
        mysqld_note "${name#mysqld}" || return
        # Vitess's my.cnf makes every MySQL start read-only. In production VTOrc lifts that.
        process_pid "vttablet${name#mysqld}" >/dev/null || return 0
        wait_until 60 "vttablet${name#mysqld}" "$name can be written to" \
            vtctl SetWritable "$CELL-0000000${name#mysqld}" true || return
        wait_until 60 "vttablet${name#mysqld}" "the tablet uses $name again" tablet_is_used "${name#mysqld}"
        ;;
    *)
        process_spawn "$name"
        wait_until 60 "$name" "$name answers" process_answers "$name"
        ;;
    esac
}

process_answers() {
    case $1 in
    etcd) etcd_healthy ;;
    vtctld) vtctl GetCellInfoNames ;;
    vttablet*) http_get "$(port "$PORT_TABLET_HTTP" $((${1#vttablet} - 100)))" /debug/health | grep -q ok && tablet_is_used "${1#vttablet}" ;;
    vtgate*) gate_query "${1#vtgate}" "SELECT 1" ;;
    esac
}

# tablet_is_used UID: every vtgate that runs sends queries to it again. Of --spare tablets nobody knows
# what they are at the moment.
tablet_is_used() {
    local gate
    (($1 - 100 < ${#SHARDS[@]})) || return 0
    for ((gate = 1; gate <= BED_GATES; gate++)); do
        process_pid "vtgate$gate" >/dev/null || continue
        gate_query "$gate" "USE \`$KEYSPACE/${SHARDS[$1 - 100]}\`; SELECT 1 FROM demo LIMIT 1" || return
    done
}

process_stop() {
    local name=$1 force=$2 pid
    pid=$(process_pid "$name") || {
        say "$name does not run"
        return
    }
    if [ -n "$force" ]; then
        kill -KILL "$pid"
        while process_start_time "$pid" >/dev/null; do pause 0.02; done
        rm -f "$BED_DIR/pids/$name.pid"
    else
        process_end 20 "$name"
    fi
    # mysqlctl takes an ended mysqld that init has not collected yet for a running one.
    for _ in {1..200}; do
        [ -e "/proc/$pid" ] || break
        pause 0.05
    done
}

process_status() {
    local name pid down=0
    for name in $(process_names); do
        if pid=$(process_pid "$name"); then
            printf '%-12s running  pid %s\n' "$name" "$pid"
        else
            printf '%-12s stopped\n' "$name"
            down=1
        fi
    done
    return "$down"
}
