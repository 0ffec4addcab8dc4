# shellcheck shell=bash
# What every script of this project shares: messages, running a long command with its output in a
# log file, locks, and ending what was started. Sourced by tests/cluster/bed, quickstart, run-tests.
#
# A script that sources this file calls `on_exit FUNCTION` once; FUNCTION then runs exactly once, on
# success, on failure and on Ctrl-C or TERM alike.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$PROGRAM_NAME: $*"
    exit 1
}

PROGRAM_NAME=${0##*/}
# The process groups started by run_logged and run_aside that may still be alive.
COMMON_JOBS=()
COMMON_CHILD=
# Where messages go even if the command that was interrupted had its output redirected.
exec {COMMON_STDERR}>&2

on_exit() {
    COMMON_EXIT_FUNCTION=$1
    trap common_leave EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

common_leave() {
    local status=$?
    # A second Ctrl-C must not leave half of the servers running.
    trap '' HUP INT TERM
    trap - EXIT
    exec 2>&"$COMMON_STDERR"
    end_jobs
    [ -z "${COMMON_EXIT_FUNCTION:-}" ] || "$COMMON_EXIT_FUNCTION" "$status"
    exit "$status"
}

# Ends what run_child, run_aside and run_logged started, and waits until it is gone: a child that is
# one of our scripts takes down its own servers first.
end_jobs() {
    local job signal
    if [ -n "$COMMON_CHILD" ]; then
        kill -TERM "$COMMON_CHILD" 2>/dev/null && wait "$COMMON_CHILD"
        COMMON_CHILD=
    fi
    # INT first: it lets pytest end what its tests have started.
    for signal in INT TERM KILL; do
        for job in "${COMMON_JOBS[@]}"; do
            kill "-$signal" -- "-$job" 2>/dev/null
        done
        for job in "${COMMON_JOBS[@]}"; do
            for _ in {1..80}; do
                group_lives "$job" || break
                pause 0.1
            done
        done
    done
    COMMON_JOBS=()
}

# group_lives PGID: a process of that group is not just waiting to be collected by its parent, which
# may be a slow init.
group_lives() {
    local file stat state group
    kill -0 -- "-$1" 2>/dev/null || return
    for file in /proc/[0-9]*/stat; do
        { stat=$(<"$file"); } 2>/dev/null || continue
        # Behind the name in parentheses: state, parent, group.
        read -r state _ group _ <<<"${stat##*) }"
        [ "$group" != "$1" ] || [ "$state" = Z ] || return 0
    done
    return 1
}

# run_child COMMAND...: like COMMAND itself, but our traps run at once when we are told to end, and
# COMMAND is told as well.
run_child() {
    local status=0
    "$@" &
    COMMON_CHILD=$!
    wait "$COMMON_CHILD" || status=$?
    COMMON_CHILD=
    return "$status"
}

# pause SECONDS: sleeps without starting a process, so that a trap runs at once.
pause() {
    [ -n "${COMMON_PAUSE_FD:-}" ] || exec {COMMON_PAUSE_FD}<> <(:)
    read -r -t "$1" -u "$COMMON_PAUSE_FD" _ || true
}

# run_aside LOG COMMAND...: starts COMMAND (a program or a function) in a process group of its own,
# its output in LOG; sets ASIDE_PID. end_jobs ends the whole group.
run_aside() {
    local log=$1
    shift
    mkdir -p "${log%/*}"
    set -m
    # The subshell must not run our exit function when it ends.
    (
        trap - EXIT HUP INT TERM
        COMMON_EXIT_FUNCTION=
        "$@"
    ) >"$log" 2>&1 </dev/null &
    ASIDE_PID=$!
    set +m
    COMMON_JOBS+=("$ASIDE_PID")
}

# wait_aside PID: the exit status of a run_aside command.
wait_aside() {
    local status=0 job keep=()
    wait "$1" || status=$?
    for job in "${COMMON_JOBS[@]}"; do
        [ "$job" = "$1" ] || keep+=("$job")
    done
    COMMON_JOBS=("${keep[@]}")
    return "$status"
}

# run_logged LABEL LOG COMMAND...: runs COMMAND with its output in LOG, says so every half minute,
# and on failure shows the end of LOG.
run_logged() {
    say "- $1 ..."
    run_aside "${@:2}"
    wait_logged "$1" "$2" "$ASIDE_PID"
}

# wait_logged LABEL LOG PID: the same for a command that run_aside has started.
wait_logged() {
    local label=$1 log=$2 pid=$3 began=$SECONDS told=$SECONDS status=0
    while kill -0 "$pid" 2>/dev/null; do
        pause 0.2
        if ((SECONDS - told >= 30)); then
            told=$SECONDS
            say "  $label: $((SECONDS - began)) s so far; $(last_line "$log")"
        fi
    done
    wait_aside "$pid" || status=$?
    if ((status)); then
        say "  $label: FAILED after $((SECONDS - began)) s (exit status $status). The end of $log:"
        show_tail "$log"
        return "$status"
    fi
    say "  $label: done in $((SECONDS - began)) s"
}

last_line() { tail -n 1 -- "$1" 2>/dev/null | tr -d '\r' | cut -c 1-100; }

# show_tail FILE [LINES]: Vitess's JSON log lines are reduced to time, level and message, and the
# hundreds of lines of help that its programs print after a wrong option are left out.
show_tail() {
    grep -aEv '^ +(-[a-z], )?--[a-z]' -- "$1" 2>/dev/null | tail -n "${2:-25}" |
        sed -E -e 's/^\{"time":"([^"]*)","level":"([^"]*)".*"msg":"(.*)"\}$/\1 \2 \3/' -e 's/^/    | /' |
        cut -c 1-400 >&2
}

# with_lock FILE SECONDS COMMAND...: one at a time. Waiting is announced, as it can take minutes.
with_lock() {
    local file=$1 seconds=$2 fd status=0
    shift 2
    exec {fd}>"$file"
    if ! flock -n "$fd"; then
        say "- waiting for another process that holds $file ..."
        flock -w "$seconds" "$fd" || die "gave up waiting for $file after $seconds s"
    fi
    "$@" || status=$?
    exec {fd}>&-
    return "$status"
}

have() { command -v "$1" >/dev/null 2>&1; }

# version_at_least HAVE WANTED: compares dotted numbers.
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# as_root COMMAND...: directly, or through sudo; fails when neither is possible.
as_root() {
    if [ "$EUID" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        say "$PROGRAM_NAME: neither root nor sudo: cannot run $*"
        return 1
    fi
}

# The folder for everything that is downloaded or built once. Servers started by root run as another
# user, who cannot enter root's home: hence root's own default.
vtshim_cache() {
    if [ -n "${VTSHIM_CACHE:-}" ]; then
        printf '%s\n' "$VTSHIM_CACHE"
    elif [ "$EUID" = 0 ]; then
        printf '%s\n' /var/cache/vtshim
    else
        printf '%s\n' "${HOME:?HOME is not set}/.cache/vtshim"
    fi
}

# stale_beds PREFIX BED: ends beds named PREFIX-PID or PREFIX-PID-LETTER whose script was killed before it could do so.
stale_beds() {
    local prefix=$1 bed=$2 name
    for name in $("$bed" list); do
        [[ $name =~ ^$prefix-([0-9]+)(-[a-z])?$ ]] || continue
        [ -e "/proc/${BASH_REMATCH[1]}" ] || "$bed" down --name "$name"
    done
}
