# shellcheck shell=bash
# Where the cluster's programs are: on PATH if suitable, else in the cache. Sets
#   VITESS_BIN  folder of vtgate, vttablet, vtctld, vtctldclient, mysqlctl
#   MYSQL_ROOT  folder with sbin/mysqld or bin/mysqld; MYSQL_EXTRA_CNF lines for its my.cnf
#   ETCD        etcd
#   CLIENT      a mysql command line client that can log in to vtgate (an array)
#   AS_USER     how to run a server (an array, empty for an ordinary user)
# Needs common.sh and the install-*.sh files.
# shellcheck disable=SC2034 # the variables are for the other files

# mysqld and mysqlctl refuse to run as root, and nothing else needs to.
programs_user() {
    AS_USER=()
    RUN_UID=$EUID
    RUN_GID=$(id -g)
    [ "$EUID" = 0 ] || return 0
    { RUN_UID=$(id -u nobody) && RUN_GID=$(id -g nobody); } || die "there is no user nobody to run the servers as"
    have setpriv || die "setpriv (package util-linux) is needed to run servers as another user than root"
    AS_USER=(setpriv "--reuid=$RUN_UID" "--regid=$RUN_GID" --clear-groups)
}

# programs_find CACHE: fails when one is missing; programs_missing then has what.
programs_find() {
    local cache=$1 missing=()
    programs_user
    programs_vitess "$cache" || missing+=(vitess)
    programs_mysql "$cache" || missing+=(mysql)
    programs_etcd "$cache" || missing+=(etcd)
    programs_client || missing+=(client)
    PROGRAMS_MISSING="${missing[*]}"
    [ -z "$PROGRAMS_MISSING" ]
}

programs_vitess() {
    local program folder version
    folder=$(command -v vtgate) && folder=${folder%/*}
    if [ -n "$folder" ]; then
        for program in "${VITESS_PROGRAMS[@]}"; do [ -x "$folder/$program" ] || folder=''; done
    fi
    if [ -n "$folder" ]; then
        # Before 23 the options are spelled with underscores.
        version=$("${AS_USER[@]}" "$folder/vtgate" --version 2>/dev/null | sed -n 's/.*ersion: \([0-9]*\).*/\1/p' | head -n 1)
        if [ "${version:-0}" -ge 23 ]; then
            VITESS_BIN=$folder
            return
        fi
    fi
    VITESS_BIN=$(vitess_folder "$1")/bin
    [ -d "$VITESS_BIN" ]
}

# AppArmor lets a packaged mysqld write to its own data folder only.
mysqld_is_confined() {
    local profile=${1#/}
    grep -qs Y /sys/module/apparmor/parameters/enabled && [ -e "/etc/apparmor.d/${profile//\//.}" ]
}

programs_mysql() {
    local program version folder
    for program in "$(command -v mysqld)" /usr/sbin/mysqld /usr/local/sbin/mysqld /usr/libexec/mysqld /usr/local/mysql/bin/mysqld; do
        [ -x "$program" ] || continue
        version=$("${AS_USER[@]}" "$program" --no-defaults --version 2>/dev/null)
        case $version in
        *MariaDB*) continue ;;
        *' 8.0.'* | *' 8.4.'* | *' 9.'*) ;;
        *) continue ;;
        esac
        ! mysqld_is_confined "$program" || continue
        folder=${program%/*}
        MYSQL_ROOT=${folder%/*} MYSQL_EXTRA_CNF=
        return
    done
    MYSQL_ROOT=$(mysql_folder "$1")
    [ -d "$MYSQL_ROOT" ] || return
    MYSQL_EXTRA_CNF=$(mysql_extra_cnf "$MYSQL_ROOT")
}

programs_etcd() {
    ETCD=$(command -v etcd) && return
    ETCD=$(etcd_folder "$1")/usr/bin/etcd
    [ -x "$ETCD" ]
}

# MySQL 9's client has lost mysql_native_password, which is all that vtgate offers.
programs_client() {
    local program version
    for program in mariadb mysql; do
        have "$program" || continue
        version=$("$program" --no-defaults --version 2>/dev/null)
        case $version in
        *MariaDB*) CLIENT=("$program" --no-defaults) CLIENT_TLS_OFF=--skip-ssl ;;
        *' 8.'* | *' 5.7'*) CLIENT=("$program" --no-defaults) CLIENT_TLS_OFF=--ssl-mode=DISABLED ;;
        *) continue ;;
        esac
        return
    done
    return 1
}
