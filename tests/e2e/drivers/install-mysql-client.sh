#!/usr/bin/env bash
# usage: install-mysql-client.sh
#
# MySQL's own command line client, and its client library to build against, for machines that have
# MariaDB's: from Debian's sid (Ubuntu has them), unpacked into the cache without installing anything.
# Prints the folder: sbin/mysql is the client, sbin/run-with-libraries PROGRAM ARGUMENT... runs a program
# that was built with root/usr/include/mysql and the libmysqlclient below root.
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in common debs; do
    # shellcheck source=/dev/null
    . "$HERE/../../cluster/lib/$part.sh"
done

main() {
    local cache folder
    cache=$(vtshim_cache) || exit
    folder=$cache/mysql-client-$(distribution_id)-1
    mkdir -p "$cache/log" || exit
    on_exit true
    [ -d "$folder" ] || with_lock "$cache/mysql-client.lock" 900 install "$cache" "$folder" || exit
    printf '%s\n' "$folder"
}

install() {
    # Again under the lock: another process may just have done it.
    [ ! -d "$2" ] || return 0
    have apt-get || die "no apt to get MySQL's client with"
    run_logged "unpacking MySQL's client" "$1/log/mysql-client.log" unpack "$2"
}

unpack() {
    local folder=$1 partial=$1.partial work=$1.work PRIVATE_APT
    rm -rf "$partial" "$work"
    [ "$(distribution_id)" != debian ] || use_debian_suite "$work" sid || return
    private_apt "$work" || return
    apt-get "${PRIVATE_APT[@]}" update || return
    unpack_debs "$work" "$partial/root" mysql-client-core libmysqlclient-dev || return
    loader_wrapper "$partial" usr/bin/mysql || return
    library_wrapper "$partial" || return
    "$partial/sbin/mysql" --no-defaults --version || return
    mv -T "$partial" "$folder" || return
    rm -rf "$work"
}

# The client's wrapper, for any program.
library_wrapper() {
    sed -e 's|--argv0 .*|"$@"|' "$1/sbin/mysql" >"$1/sbin/run-with-libraries" &&
        chmod 755 "$1/sbin/run-with-libraries"
}

main "$@"
