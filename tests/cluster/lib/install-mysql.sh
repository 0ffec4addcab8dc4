# shellcheck shell=bash
# MySQL's server for machines that have none: Debian's releases ship MariaDB only, so it comes from
# sid; Ubuntu has one. Unpacked into CACHE/mysql-DISTRIBUTION, run with its own libraries. Needs
# common.sh and debs.sh.

mysql_folder() { printf '%s/mysql-%s-1\n' "$1" "$(distribution_id)"; }

mysql_install() {
    local cache=$1 folder
    folder=$(mysql_folder "$cache")
    [ -d "$folder" ] && return
    have apt-get || die "No mysqld (MySQL 8.0, 8.4 or 9.x; MariaDB does not work under Vitess) was found, and this machine has no apt to get one with."
    run_logged "unpacking MySQL's server" "$cache/log/mysql.log" mysql_unpack "$folder"
}

mysql_unpack() {
    local folder=$1 partial=$1.partial work=$1.work package packages PRIVATE_APT
    rm -rf "$partial" "$work"
    if [ "$(distribution_id)" = debian ]; then
        use_debian_suite "$work" sid || return
        private_apt "$work" || return
        apt-get "${PRIVATE_APT[@]}" update || return
        packages=(mysql-server-core)
    else
        private_apt "$work" || return
        apt-get "${PRIVATE_APT[@]}" update || return
        # Up to 24.04 the version is part of the name, and the plug-ins that Vitess's my.cnf loads are
        # in the second package.
        for package in mysql-server-core-8.0 mysql-server-core-8.4 mysql-server-core; do
            apt-cache "${PRIVATE_APT[@]}" show "$package" >/dev/null 2>&1 || continue
            packages=("$package" "${package/-core/}")
            break
        done
        [ -n "${packages[*]:-}" ] || {
            say "apt knows no mysql-server-core package"
            return 1
        }
    fi
    unpack_debs "$work" "$partial/root" "${packages[@]}" || return
    loader_wrapper "$partial" usr/sbin/mysqld || return
    "$partial/sbin/mysqld" --no-defaults --version || return
    mv -T "$partial" "$folder" || return
    rm -rf "$work"
}

# mysql_extra_cnf FOLDER: paths that are compiled into mysqld but lie elsewhere here.
mysql_extra_cnf() {
    local root=$1/root plugins
    plugins=$(find "$root/usr/lib" -type d -path '*mysql*/plugin' | head -n 1)
    printf 'lc-messages-dir = %s/usr/share/mysql\n' "$root"
    printf 'character-sets-dir = %s/usr/share/mysql/charsets\n' "$root"
    [ -z "$plugins" ] || printf 'plugin-dir = %s\n' "$plugins"
}
