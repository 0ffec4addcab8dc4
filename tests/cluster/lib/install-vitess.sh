# shellcheck shell=bash
# Builds the Vitess programs from the Go module into CACHE/vitess-VERSION. Needs common.sh and
# install-go.sh.

readonly VITESS_VERSION=v0.24.2
readonly VITESS_PROGRAMS=(vtgate vttablet vtctld vtctldclient mysqlctl)

vitess_folder() { printf '%s/vitess-%s\n' "$1" "$VITESS_VERSION"; }

# vitess_install CACHE: the folder appears under its final name only when it is complete.
vitess_install() {
    local cache=$1 folder source GO
    folder=$(vitess_folder "$cache")
    [ -d "$folder" ] && return
    go_prepare "$cache" || return
    run_logged "downloading vitess.io/vitess@$VITESS_VERSION" "$cache/log/vitess-download.log" \
        vitess_download "$cache" || return
    source=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p' "$cache/log/vitess-download.log")
    [ -d "$source" ] || die "go did not tell where it put vitess.io/vitess@$VITESS_VERSION"
    say "- this is the long step: about 9 minutes of processor time, once (${VITESS_PROGRAMS[*]})"
    run_logged "building Vitess $VITESS_VERSION" "$cache/log/vitess-build.log" vitess_build "$source" "$folder" || return
}

vitess_download() {
    # `go mod download` needs no module of its own; an empty folder keeps others' go.mod away.
    local empty status=0
    empty=$(mktemp -d) || return
    (cd "$empty" && env GO111MODULE=on GOFLAGS= "${GO[@]}" mod download -json "vitess.io/vitess@$VITESS_VERSION") || status=$?
    rm -rf "$empty"
    return "$status"
}

vitess_build() {
    local source=$1 folder=$2 program packages=()
    for program in "${VITESS_PROGRAMS[@]}"; do packages+=("./go/cmd/$program"); done
    # Left over from an interrupted build; Go's own cache lets the new one continue where it was.
    rm -rf "$folder.partial"
    mkdir -p "$folder.partial/bin" || return
    # -x or -v would print thousands of lines; -v alone names the package being built, which makes
    # the progress lines meaningful.
    (cd "$source" && env CGO_ENABLED=0 GOFLAGS= GOWORK=off nice "${GO[@]}" build -v -trimpath -buildvcs=false -ldflags '-s -w' \
        -o "$folder.partial/bin/" "${packages[@]}") || return
    "$folder.partial/bin/vtgate" --version || return
    mv -T "$folder.partial" "$folder"
}
