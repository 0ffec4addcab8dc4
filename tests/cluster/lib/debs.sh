# shellcheck shell=bash
# Unpacks Debian or Ubuntu packages into a folder, without installing them: no root needed, nothing
# on the machine changes, no service starts. apt does the resolving, downloading and verifying, with
# state of its own. Sets no global state; needs lib/common.sh.

# distribution_id: debian, ubuntu, or a relative of one of them.
distribution_id() {
    (
        ID='' ID_LIKE=''
        # shellcheck disable=SC1091
        . /etc/os-release
        case " $ID $ID_LIKE " in
        *' ubuntu '*) printf 'ubuntu\n' ;;
        *' debian '*) printf 'debian\n' ;;
        *) printf '%s\n' "$ID" ;;
        esac
    )
}

# debian_mirror: where this machine gets Debian itself from, as apt was told; no mirror is written
# down in this project.
debian_mirror() {
    local uri suite label other=''
    # shellcheck disable=SC2016 # these are apt's variables
    while IFS='|' read -r uri suite label; do
        case $uri$suite in *security* | *-updates* | *-backports*) continue ;; esac
        # The label is known once `apt-get update` has run; before that, the first archive serves.
        if [ "$label" = Debian ]; then
            printf '%s\n' "$uri"
            return
        fi
        : "${other:=$uri}"
    done < <(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(LABEL)' 'Created-By: Packages')
    [ -n "$other" ] && printf '%s\n' "$other"
}

# private_apt WORK: prepares WORK as the state of an apt of our own, in PRIVATE_APT (an array). With
# WORK/sources.list already there, only that is used; otherwise the machine's sources.
private_apt() {
    local work=$1
    mkdir -p "$work/lists/partial" "$work/archives/partial" || return
    # An empty list of installed packages: the complete set of dependencies is fetched, libc too.
    : >"$work/status"
    mkdir -p "$work/no-parts"
    PRIVATE_APT=(-q -o APT::Get::Assume-Yes=1 -o "Dir::State=$work" -o "Dir::State::lists=$work/lists"
        -o "Dir::State::status=$work/status" -o "Dir::Cache=$work"
        -o "Dir::Cache::archives=$work/archives" -o APT::Sandbox::User=
        -o APT::Install-Recommends=0 -o Acquire::Languages=none -o Acquire::Retries=3)
    if [ -e "$work/sources.list" ]; then
        # A mirror that is a frozen snapshot is good enough: signatures are still checked.
        PRIVATE_APT+=(-o Acquire::Check-Valid-Until=false -o "Dir::Etc::sourcelist=$work/sources.list"
            -o "Dir::Etc::sourceparts=$work/no-parts" -o "Dir::Etc::preferencesparts=$work/no-parts"
            -o Dir::Etc::preferences=/dev/null)
    fi
}

# use_debian_suite WORK SUITE: makes the private apt of WORK read SUITE of Debian.
use_debian_suite() {
    local mirror keyring
    mirror=$(debian_mirror) || {
        say "apt knows no Debian archive on this machine"
        return 1
    }
    for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
        [ -e "$keyring" ] && break
    done
    mkdir -p "$1"
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$2" >"$1/sources.list"
}

# unpack_debs WORK TARGET PACKAGE...: PACKAGEs with all they depend on, below TARGET.
unpack_debs() {
    local work=$1 target=$2 deb
    shift 2
    apt-get "${PRIVATE_APT[@]}" --download-only install "$@" || return
    mkdir -p "$target" || return
    for deb in "$work"/archives/*.deb; do
        dpkg-deb -x "$deb" "$target" || return
    done
}

# loader_wrapper FOLDER PROGRAM: writes FOLDER/sbin/NAME, which runs FOLDER/root/PROGRAM with the C
# library in FOLDER/root: packages of another release need a newer one than the machine has. FOLDER
# may be moved afterwards.
loader_wrapper() {
    local folder=$1 program=$2 wrapper=$1/sbin/${2##*/} loader libraries
    loader=$(cd "$folder/root" && find . -name 'ld-linux-*.so.*' | sort | head -n 1)
    [ -n "$loader" ] || {
        say "no dynamic loader below $folder/root"
        return 1
    }
    # shellcheck disable=SC2016 # the wrapper replaces $root
    libraries=$(cd "$folder/root" && find . \( -name 'libc.so.6' -o -name 'libstdc++.so.6' \
        -o -path '*/mysql/private/*.so*' \) -printf '$root/%h\n' | sort -u | paste -s -d :)
    mkdir -p "$folder/sbin" || return
    cat >"$wrapper" <<-EOF || return
	#!/bin/sh
	here=\$(dirname "\$(readlink -f "\$0")")
	root=\$(cd "\$here/../root" && pwd)
	exec "\$root/$loader" --library-path "$libraries" --argv0 "\$root/$program" "\$root/$program" "\$@"
	EOF
    chmod 755 "$wrapper"
}
