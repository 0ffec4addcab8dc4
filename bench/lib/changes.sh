# shellcheck shell=bash
# What bench/cutover and bench/transition have in common: the programs, a Vitess of their own, the
# picture. Needs tests/cluster/lib's common.sh, debs.sh, install-go.sh and programs.sh, and
#   ROOT, CLUSTER, OUTPUT, CACHE  folders
#   BED_NAME                      of the cluster, which changes_leave takes down

readonly MATPLOTLIB='matplotlib>=3.7'

# Builds what is missing. Sets VTSHIM, CLIENT; the load program is $OUTPUT/load.
changes_prepare() {
    local GO=()
    mkdir -p "$OUTPUT" "$CACHE/log" || return
    run_child "$CLUSTER/packages" build client || say "- going on without the missing packages"
    if [ -z "${VTSHIM:-}" ]; then
        run_logged "building vtshim" "$OUTPUT/build.log" changes_build || return
        VTSHIM=$ROOT/build/release/proxy/vtshim
    fi
    go_prepare "$CACHE" || return
    (cd "$ROOT/tests/e2e/go" && "${GO[@]}" build -o "$OUTPUT/load" ./load) || return
    programs_user && programs_client || die "no mysql command line client"
}

changes_build() { cmake --preset release -DVTSHIM_TESTS=OFF && cmake --build --preset release; }

# changes_bed [OPTION]...: starts the cluster and exports how to reach it.
changes_bed() {
    stale_beds "${BED_NAME%-*}" "$CLUSTER/bed"
    run_child "$CLUSTER/bed" up --name "$BED_NAME" --base-port auto --auth static "$@" >"$OUTPUT/bed-up.log" || return
    set -a
    eval "$("$CLUSTER/bed" env --name "$BED_NAME")"
    BENCH_MYSQL="${CLIENT[*]@Q} $CLIENT_TLS_OFF"
    set +a
}

# changes_plot NAME: draws NAME.svg from NAME.json with plot_NAME.py.
changes_plot() {
    local venv=$CACHE/venv-bench-1
    if [ ! -e "$venv/complete" ]; then
        rm -rf "$venv"
        run_logged "getting matplotlib" "$OUTPUT/venv.log" changes_venv "$venv" || return
    fi
    run_logged "drawing" "$OUTPUT/plot.log" "$venv/bin/python" "$ROOT/bench/lib/plot_$1.py" "$OUTPUT/$1.json" "$OUTPUT" || return
    say "- $1.json, $1.md and $1.svg are in $OUTPUT"
}

changes_venv() {
    python3 -m venv "$1" && "$1/bin/python" -m pip install --disable-pip-version-check -q "$MATPLOTLIB" && touch "$1/complete"
}

changes_leave() {
    end_jobs
    "$CLUSTER/bed" down --name "$BED_NAME" 2>/dev/null
}
