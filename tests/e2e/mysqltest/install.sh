#!/usr/bin/env bash
# usage: install.sh mysql|mariadb
#
# Unpacks a peer's test suite from Debian's sid, with all it needs and without installing anything, and
# prints its folder; its programs run from sbin/ there. Kept in the cache. An unpacked suite is about 1 GB,
# of which the saved data folders of older servers, which no test here uses, are left out.
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in common debs; do
    # shellcheck source=/dev/null
    . "$HERE/../../cluster/lib/$part.sh"
done

main() {
    local suite=${1:-} cache folder
    case $suite in mysql | mariadb) ;; *) die "usage: install.sh mysql|mariadb" ;; esac
    cache=$(vtshim_cache) || exit
    folder=$cache/$suite-testsuite-1
    mkdir -p "$cache/log" || exit
    on_exit true
    [ -e "$folder/complete" ] || with_lock "$cache/$suite-testsuite.lock" 1800 install "$suite" "$cache" "$folder" || exit
    printf '%s\n' "$folder"
}

install() {
    # Again under the lock: another process may just have done it.
    [ ! -e "$3/complete" ] || return 0
    if ! have apt-get || [ "$(distribution_id)" != debian ]; then
        die "the test suites come from Debian's sid, by an apt that knows a Debian archive"
    fi
    run_logged "unpacking the test suite of $1 (400 MB to fetch)" "$2/log/$1-testsuite.log" "unpack_$1" "$3"
}

unpack_mysql() {
    local folder=$1 partial=$1.partial work=$1.work root=$1.partial/root PRIVATE_APT program
    fetch mysql-testsuite "$work" "$root" || return
    for program in usr/lib/mysql-test/bin/{mysqltest,mysql_client_test} \
        usr/bin/{mysql,mysqladmin,mysqldump,mysqlbinlog,mysqlcheck,mysqlimport,mysqlshow,mysqlslap,my_print_defaults,perror} \
        usr/sbin/mysqld; do
        loader_wrapper "$partial" "$program" || return
    done
    "$partial/sbin/mysqltest" --version && "$partial/sbin/mysqld" --no-defaults --version || return
    rm -rf "$root"/usr/lib/mysql-test/std_data/{instant_ddl,upgrade,bug36444172} "$root"/usr/lib/mysql-test/suite/ndb*
    finish "$folder" "$partial" "$work"
}

unpack_mariadb() {
    local folder=$1 partial=$1.partial work=$1.work root=$1.partial/root PRIVATE_APT program
    fetch mariadb-test "$work" "$root" || return
    for program in usr/bin/{mariadb-test,mariadb-client-test,mariadb,mariadb-dump,mariadb-admin,mariadb-check,mariadb-import,mariadb-show,mariadb-slap}; do
        loader_wrapper "$partial" "$program" || return
    done
    "$partial/sbin/mariadb-test" --version || return
    finish "$folder" "$partial" "$work"
}

# fetch PACKAGE WORK ROOT
fetch() {
    rm -rf "${3%/root}" "$2"
    use_debian_suite "$2" sid || return
    private_apt "$2" || return
    apt-get "${PRIVATE_APT[@]}" update || return
    unpack_debs "$2" "$3" "$1"
}

# finish FOLDER PARTIAL WORK
finish() {
    rm -rf "$3" "$1" || return
    # The tests run as another user than root.
    chmod -R a+rX "$2" || return
    mv -T "$2" "$1" && touch "$1/complete"
}

main "$@"
