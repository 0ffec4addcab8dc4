# shellcheck shell=bash
# Where the benchmark's programs are: on PATH, or unpacked into the cache without installing them.
# Sets, and exports for bench.py,
#   BENCH_SYSBENCH  sysbench; BENCH_SCRIPTS the folder of its Lua scripts, empty if it finds them
#   BENCH_HAPROXY, BENCH_ROUTER  empty where they cannot be had; BENCH_ROUTER_PLUGINS as for scripts
#   BENCH_MYSQLD, BENCH_MYSQL_CNF  mysqld, and lines for its my.cnf
# Needs tests/cluster/lib's common.sh, debs.sh, install-mysql.sh and programs.sh.

bench_programs() {
    local cache=$1
    bench_program sysbench usr/bin/sysbench '' sysbench || die "no sysbench, which drives the load"
    BENCH_SYSBENCH=$FOUND
    BENCH_SCRIPTS=$(cd "${FOUND%/*}/../root/usr/share/sysbench" 2>/dev/null && pwd)
    bench_program haproxy usr/sbin/haproxy '' haproxy || say "- no HAProxy: it is left out"
    BENCH_HAPROXY=$FOUND
    # Debian has MySQL Router in sid only.
    bench_program mysqlrouter usr/bin/mysqlrouter sid mysql-router || say "- no MySQL Router: it is left out"
    BENCH_ROUTER=$FOUND
    BENCH_ROUTER_PLUGINS=$(cd "${FOUND%/*}/../root/usr/lib/mysqlrouter/plugin" 2>/dev/null && pwd)
    export BENCH_ROUTER_PLUGINS BENCH_SYSBENCH BENCH_SCRIPTS BENCH_HAPROXY BENCH_ROUTER
}

# bench_mysqld CACHE: for --server mysql.
bench_mysqld() {
    programs_mysql "$1" || with_lock "$1/install.lock" 900 mysql_install "$1" || return
    programs_mysql "$1" || return
    BENCH_MYSQLD=$MYSQL_ROOT/sbin/mysqld
    [ -x "$BENCH_MYSQLD" ] || BENCH_MYSQLD=$MYSQL_ROOT/bin/mysqld
    BENCH_MYSQL_CNF=$MYSQL_EXTRA_CNF
    export BENCH_MYSQLD BENCH_MYSQL_CNF
}

# bench_program NAME FILE SUITE PACKAGE: sets FOUND, or empties it and fails. SUITE: of Debian; empty
# for the machine's own release.
bench_program() {
    local name=$1 file=$2 suite=$3 package=$4 folder=$CACHE/$4-$(distribution_id)-1
    FOUND=$(command -v "$name") && return
    [ "$(distribution_id)" = debian ] || suite=''
    FOUND=
    if [ ! -d "$folder" ]; then
        have apt-get || return
        with_lock "$CACHE/$package.lock" 900 bench_install "$folder" "$file" "$suite" "$package" || return
    fi
    FOUND=$folder/sbin/$name
}

bench_install() {
    # Again under the lock: another process may just have done it.
    [ -d "$1" ] || run_logged "unpacking $4" "$CACHE/log/$4.log" bench_unpack "$@"
}

bench_unpack() {
    local folder=$1 file=$2 suite=$3 package=$4 partial=$1.partial work=$1.work PRIVATE_APT
    rm -rf "$partial" "$work"
    [ -z "$suite" ] || use_debian_suite "$work" "$suite" || return
    private_apt "$work" || return
    apt-get "${PRIVATE_APT[@]}" update || return
    unpack_debs "$work" "$partial/root" "$package" || return
    bench_wrapper "$partial" "$file" || return
    "$partial/sbin/${file##*/}" "$(bench_version_option "$package")" || return
    mv -T "$partial" "$folder" || return
    rm -rf "$work"
}

bench_version_option() { if [ "$1" = haproxy ]; then echo -v; else echo --version; fi; }

# bench_wrapper FOLDER FILE: as loader_wrapper, with every folder that has libraries, and what
# sysbench needs to find its scripts and its client library's plug-ins.
bench_wrapper() {
    local folder=$1 file=$2 wrapper=$1/sbin/${2##*/} loader libraries
    loader=$(cd "$folder/root" && find . -name 'ld-linux-*.so.*' | sort | head -n 1)
    [ -n "$loader" ] || return
    # shellcheck disable=SC2016 # the wrapper replaces $root
    libraries=$(cd "$folder/root" && find . -name '*.so.[0-9]*' -printf '$root/%h\n' | sort -u | paste -s -d :)
    mkdir -p "$folder/sbin" || return
    cat >"$wrapper" <<-EOF || return
	#!/bin/sh
	here=\$(dirname "\$(readlink -f "\$0")")
	root=\$(cd "\$here/../root" && pwd)
	export LUA_PATH="\$root/usr/share/sysbench/?.lua"
	export MARIADB_PLUGIN_DIR="\$(echo "\$root"/usr/lib/*/libmariadb3/plugin)"
	exec "\$root/$loader" --library-path "$libraries" --argv0 "\$root/$file" "\$root/$file" "\$@"
	EOF
    chmod 755 "$wrapper"
}
