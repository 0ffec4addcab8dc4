# shellcheck shell=bash
# Finds or fetches a Go toolchain that can build Vitess. Sets GO (an array: the command, with the
# environment it needs). Needs common.sh and debs.sh.
#
# In this order: a new enough go on the machine; an older one (1.21 and later) which fetches the
# right toolchain itself; a toolchain from an earlier run; and on a machine without any usable go,
# the distribution's package, unpacked aside, which then fetches the toolchain as the Go module that
# it is published as. Always through `go` itself: it knows the machine's proxy, checks the checksum
# database, and no address needs to be written down here.
# shellcheck disable=SC2034 # GO is for install-vitess.sh

# The go that go.mod of the Vitess version in install-vitess.sh asks for.
readonly GO_WANTED=1.26.4

go_version_of() { env GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9.]*\).*/\1/p'; }

go_prepare() {
    local cache=$1 found version toolchain
    toolchain=$cache/go-$GO_WANTED
    if [ -x "$toolchain/bin/go" ]; then
        go_use "$toolchain"
        return
    fi
    for found in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-*/bin/go "$cache"/go-apt/usr/lib/go-*/bin/go; do
        [ -x "$found" ] || continue
        version=$(go_version_of "$found")
        [ -n "$version" ] || continue
        if version_at_least "$version" "$GO_WANTED"; then
            GO=(env GOTOOLCHAIN=local "$found")
            return
        fi
    done
    for found in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-*/bin/go "$cache"/go-apt/usr/lib/go-*/bin/go; do
        [ -x "$found" ] || continue
        version=$(go_version_of "$found")
        [ -n "$version" ] || continue
        go_fetch "$found" "$version" "$cache" && return
    done
    go_from_apt "$cache" || return
    for found in "$cache"/go-apt/usr/lib/go-*/bin/go; do
        go_fetch "$found" "$(go_version_of "$found")" "$cache" && return
    done
    return 1
}

go_use() { GO=(env GOTOOLCHAIN=local "GOROOT=$1" "$1/bin/go"); }

# go_fetch GO VERSION CACHE: the wanted toolchain by means of an older go.
go_fetch() {
    local go=$1 version=$2 cache=$3
    if version_at_least "$version" 1.21; then
        run_logged "fetching the Go $GO_WANTED toolchain with go $version" "$cache/log/go.log" \
            env "GOTOOLCHAIN=go$GO_WANTED" "$go" version || return
        GO=(env "GOTOOLCHAIN=go$GO_WANTED" "$go")
        return
    fi
    # Go before 1.21 does not know about toolchains, but can download their module like any other.
    run_logged "fetching the Go $GO_WANTED toolchain with go $version" "$cache/log/go.log" \
        go_download_toolchain "$go" "$cache" || return
    go_use "$cache/go-$GO_WANTED"
}

go_download_toolchain() {
    local go=$1 cache=$2 module folder os_arch partial
    os_arch=$("$go" env GOOS)-$("$go" env GOARCH)
    module=golang.org/toolchain@v0.0.1-go$GO_WANTED.$os_arch
    partial=$cache/go-$GO_WANTED.partial
    # A previous, interrupted copy; the module cache makes its files read-only.
    chmod -R u+w "$partial" 2>/dev/null
    rm -rf "$partial"
    mkdir -p "$partial" || return
    (cd "$partial" && "$go" mod init toolchain && "$go" mod download -json "$module" | tee download.json) || return
    folder=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p' "$partial/download.json")
    [ -d "$folder" ] || {
        say "go did not tell where it put $module"
        return 1
    }
    cp -r --no-preserve=mode "$folder/." "$partial/" || return
    # A module's files carry no permissions: the programs have to be made executable.
    chmod 755 "$partial"/bin/* || return
    find "$partial/pkg/tool" -type f -exec chmod 755 {} + || return
    rm -f "$partial"/{go.mod,go.sum,download.json}
    "$partial/bin/go" version || return
    mv -T "$partial" "$cache/go-$GO_WANTED"
}

# The distribution's go, unpacked: usually too old for Vitess, but enough to fetch the right one.
go_from_apt() {
    local cache=$1
    have apt-get || {
        say "No go program was found. Install Go 1.21 or later and try again."
        return 1
    }
    rm -rf "$cache/go-apt" "$cache/go-apt.partial"
    run_logged "unpacking the distribution's Go package" "$cache/log/go-apt.log" \
        go_unpack_apt "$cache/go-apt.partial" || return
    mv -T "$cache/go-apt.partial" "$cache/go-apt"
}

go_unpack_apt() {
    local target=$1 package PRIVATE_APT
    private_apt "$target.work" || return
    apt-get "${PRIVATE_APT[@]}" update || return
    # golang-go only depends on the package that has the compiler: golang-1.NN-go. Its sources and
    # the C compiler it recommends are not needed to fetch another toolchain.
    package=$(apt-cache "${PRIVATE_APT[@]}" depends golang-go | sed -n 's/^ *Depends: \(golang-[0-9.]*-go\)$/\1/p')
    [ -n "$package" ] || return
    mkdir -p "$target" || return
    (cd "$target.work/archives" && apt-get "${PRIVATE_APT[@]}" download "$package") || return
    dpkg-deb -x "$target.work"/archives/golang-*.deb "$target" || return
    rm -rf "$target.work"
}
