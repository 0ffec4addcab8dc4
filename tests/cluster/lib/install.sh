# shellcheck shell=bash
# `bed install`: makes sure that every program of the cluster is there. Two installs at the same time
# wait for each other; an interrupted one leaves only *.partial and *.work folders, which the next
# one starts afresh. Needs the other install-*.sh files and programs.sh.

bed_install() {
    local began=$SECONDS
    if ! programs_find "$CACHE"; then
        mkdir -p "$CACHE/log" || die "cannot create $CACHE (set VTSHIM_CACHE to another folder)"
        install_check_cache
        with_lock "$CACHE/install.lock" 3600 install_missing || die "bed install failed"
        programs_find "$CACHE" || die "still missing after the installation: $PROGRAMS_MISSING"
        say "- the cluster's programs are ready ($((SECONDS - began)) s)"
    fi
}

install_missing() {
    local what
    # Again under the lock: another process may just have done it.
    programs_find "$CACHE" && return
    for what in $PROGRAMS_MISSING; do
        case $what in
        vitess) vitess_install "$CACHE" || return ;;
        mysql) mysql_install "$CACHE" || return ;;
        etcd) etcd_install "$CACHE" || return ;;
        client) "$HERE/packages" client || return ;;
        esac
    done
}

# The user who runs the servers has to be able to read the cache.
install_check_cache() {
    [ "${#AS_USER[@]}" = 0 ] || "${AS_USER[@]}" test -r "$CACHE" -a -x "$CACHE" ||
        die "user nobody, who runs the servers, cannot enter $CACHE; set VTSHIM_CACHE to a folder that every user can"
}

# bed_programs: what is used, for people.
bed_programs() {
    printf 'vitess  %s  (%s)\n' "$VITESS_BIN" "$("$VITESS_BIN/vtgate" --version 2>&1 | sed -n 's/.*\([Vv]ersion: [0-9.]*\).*/\1/p' | head -n 1)"
    printf 'mysql   %s\netcd    %s\nclient  %s\n' "$MYSQL_ROOT" "$ETCD" "${CLIENT[0]}"
}
