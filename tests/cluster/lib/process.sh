# shellcheck shell=bash
# Starting, watching and ending the processes of one bed (BED_DIR). Needs common.sh and programs.sh.
#
# A program has BED_DIR/programs/NAME.cmd (its command line, quoted for the shell),
# BED_DIR/logs/NAME.log and, once started, BED_DIR/pids/NAME.pid: the process id, and on a second
# line the time the kernel started it, which tells our process from a later one with the same id.
# Every process also carries VTSHIM_BED_PROCESS=BED_DIR in its environment: that finds those whose
# id was never written down, such as the children of an interrupted mysqlctl.

# process_define NAME COMMAND...
process_define() {
    local name=$1
    shift
    printf '%q ' "$@" >"$BED_DIR/programs/$name.cmd"
}

# process_spawn NAME: starts what process_define described, in a session of its own, so that Ctrl-C
# reaches only us. Returns at once.
process_spawn() {
    local name=$1 pid argv=()
    eval "argv=($(<"$BED_DIR/programs/$name.cmd"))"
    process_exec "$name" "${argv[@]}" &
    pid=$!
    process_note "$name" "$pid"
}

# Replaces the (sub)shell by the program.
process_exec() {
    local name=$1 fd
    shift
    trap - EXIT HUP INT TERM
    exec >>"$BED_DIR/logs/$name.log" 2>&1 </dev/null
    # Locks and pipes of whoever called us must not live as long as a server.
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        ((fd > 2)) && eval "exec $fd>&-"
    done
    cd "$BED_DIR" || exit
    # A clean environment: a proxy variable, for one, would divert gRPC.
    exec setsid env -i "PATH=$VITESS_BIN:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "HOME=$BED_DIR" \
        "TMPDIR=$BED_DIR/tmp" LC_ALL=C.UTF-8 "VTDATAROOT=$BED_DIR" "VT_MYSQL_ROOT=$MYSQL_ROOT" \
        "EXTRA_MY_CNF=$BED_DIR/extra.cnf" ETCD_UNSUPPORTED_ARCH=arm64 \
        "VTSHIM_BED_PROCESS=$BED_DIR" "${AS_USER[@]}" "$@"
}

# The kernel's start time of a process, in ticks since boot; fails for a process that is gone or a
# zombie.
process_start_time() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return
    # The name in parentheses may contain anything: count from behind it.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "$1" != X ] && printf '%s\n' "${20}"
}

process_note() {
    local started
    started=$(process_start_time "$2") || started=0
    printf '%s\n%s\n' "$2" "$started" >"$BED_DIR/pids/$1.pid"
}

# process_pid NAME: prints the id if the program runs and is the one we started.
process_pid() {
    local pid started
    { read -r pid && read -r started; } 2>/dev/null <"$BED_DIR/pids/$1.pid" || return
    [ "$(process_start_time "$pid")" = "$started" ] && printf '%s\n' "$pid"
}

process_names() {
    local file
    for file in "$BED_DIR"/programs/*.cmd; do
        [ -e "$file" ] || continue
        file=${file##*/}
        printf '%s\n' "${file%.cmd}"
    done
}

# process_end SECONDS NAME...: TERM to all, then KILL to those still there after SECONDS.
process_end() {
    local patience=$1 name pid pids=()
    shift
    for name; do
        pid=$(process_pid "$name") && pids+=("$pid")
    done
    process_end_pids "$patience" "${pids[@]}"
    for name; do rm -f "$BED_DIR/pids/$name.pid"; done
}

process_end_pids() {
    local patience=$1 pid deadline alive
    shift
    [ $# = 0 ] && return
    kill -TERM "$@" 2>/dev/null
    deadline=$((SECONDS + patience))
    while :; do
        alive=()
        for pid; do process_start_time "$pid" >/dev/null && alive+=("$pid"); done
        [ "${#alive[@]}" = 0 ] && return
        ((SECONDS < deadline)) || break
        pause 0.05
    done
    kill -KILL "${alive[@]}" 2>/dev/null
    for pid in "${alive[@]}"; do
        while process_start_time "$pid" >/dev/null; do pause 0.05; done
    done
}

# process_marked: the ids of all processes of this bed, noted or not.
process_marked() {
    local environ
    for environ in /proc/[0-9]*/environ; do
        if grep -qzxF "VTSHIM_BED_PROCESS=$BED_DIR" "$environ" 2>/dev/null; then
            environ=${environ#/proc/}
            printf '%s\n' "${environ%/environ}"
        fi
    done
}

# process_end_all: takes the whole bed down, clients before what they need.
process_end_all() {
    local name first=() last=() left
    for name in $(process_names); do
        case $name in
        mysqld* | etcd) last+=("$name") ;;
        *) first+=("$name") ;;
        esac
    done
    process_end 12 "${first[@]}"
    process_end 20 "${last[@]}"
    mapfile -t left < <(process_marked)
    process_end_pids 5 "${left[@]}"
}

# wait_until SECONDS PROGRAM WHAT COMMAND...: polls COMMAND; fails early if one of the bed's programs
# dies. On failure shows the log of the program to blame.
wait_until() {
    local patience=$1 program=$2 what=$3 deadline name
    shift 3
    deadline=$((SECONDS + patience))
    until "$@" >"$BED_DIR/logs/wait.log" 2>&1; do
        for name in $(process_names); do
            [ ! -e "$BED_DIR/pids/$name.pid" ] || process_pid "$name" >/dev/null || {
                say "$name has ended while waiting until $what. The end of its log:"
                process_show_log "$name"
                return 1
            }
        done
        if ((SECONDS >= deadline)); then
            say "Gave up after $patience s waiting until $what. The last attempt said:"
            show_tail "$BED_DIR/logs/wait.log" 5
            say "The end of the log of $program:"
            process_show_log "$program"
            return 1
        fi
        pause 0.1
    done
}

process_show_log() {
    local log=$BED_DIR/logs/$1.log
    show_tail "$log" 25
    # mysqld has a log of its own.
    case $1 in mysqld*) show_tail "$BED_DIR/vt_0000000${1#mysqld}/error.log" 15 ;; esac
}
