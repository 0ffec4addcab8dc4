# shellcheck shell=bash
# etcd for machines that have none: the distribution's package, unpacked and not installed, as
# installing it would start a service. Needs common.sh and debs.sh.

etcd_folder() { printf '%s/etcd-%s\n' "$1" "$(distribution_id)"; }

etcd_install() {
    local folder
    folder=$(etcd_folder "$1")
    [ -d "$folder" ] && return
    have apt-get || die "No etcd was found, and this machine has no apt to get one with."
    run_logged "unpacking etcd" "$1/log/etcd.log" etcd_unpack "$folder"
}

etcd_unpack() {
    local folder=$1 work=$1.work package=etcd-server PRIVATE_APT
    rm -rf "$folder.partial" "$work"
    private_apt "$work" || return
    apt-get "${PRIVATE_APT[@]}" update || return
    # Older Ubuntu releases have one package, etcd.
    apt-cache "${PRIVATE_APT[@]}" show "$package" >/dev/null 2>&1 || package=etcd
    # It is a Go program: of its dependencies only the C library counts, which is there.
    (cd "$work/archives" && apt-get "${PRIVATE_APT[@]}" download "$package") || return
    mkdir -p "$folder.partial" || return
    dpkg-deb -x "$work"/archives/etcd*.deb "$folder.partial" || return
    "$folder.partial/usr/bin/etcd" --version || return
    mv -T "$folder.partial" "$folder" || return
    rm -rf "$work"
}
