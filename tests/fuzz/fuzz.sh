# shellcheck shell=bash
# Running the fuzz targets, for tests/fuzz/long and run-tests. Needs tests/cluster/lib/common.sh, and
# the targets built (fuzz_build). The current folder is the repository's root.

# What all runs together have found worth keeping; the repository's own seeds are only read.
readonly FUZZ_FOUND=build/fuzz/found FUZZ_LOGS=build/logs/fuzz

# Whether there is a clang with libFuzzer.
fuzz_possible() {
    local trial status=0
    have clang || return
    trial=$(mktemp -d) || return
    printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return (int)n * 0 * (d == 0); }\n' >"$trial/trial.c"
    clang -fsanitize=fuzzer,address,undefined -o "$trial/trial" "$trial/trial.c" 2>/dev/null || status=$?
    rm -rf "$trial"
    return "$status"
}

fuzz_build() { cmake --preset fuzz && cmake --build --preset fuzz --target tests/fuzz/all; }

# The names of all targets, one a line.
fuzz_targets() {
    local source
    for source in tests/fuzz/fuzz_*.c; do
        source=${source##*/fuzz_}
        printf '%s\n' "${source%.c}"
    done
}

# fuzz_run_all SECONDS TARGET...: each for so long, as many at a time as there are processors. Sets
# FUZZ_PASSED and FUZZ_FAILED; what was found is said.
fuzz_run_all() {
    local seconds=$1 name jobs batch
    FUZZ_PASSED=0 FUZZ_FAILED=0
    shift
    mkdir -p "$FUZZ_LOGS"
    while [ $# != 0 ]; do
        batch=("${@:1:$(nproc)}") jobs=()
        for name in "${batch[@]}"; do
            run_aside "$FUZZ_LOGS/$name.log" fuzz_run "$name" "$seconds"
            jobs+=("$ASIDE_PID")
        done
        for name in "${batch[@]}"; do
            if wait_aside "${jobs[0]}"; then
                FUZZ_PASSED=$((FUZZ_PASSED + 1))
            else
                FUZZ_FAILED=$((FUZZ_FAILED + 1))
                fuzz_show_finding "$name"
            fi
            jobs=("${jobs[@]:1}")
        done
        shift "${#batch[@]}"
    done
}

# fuzz_run NAME SECONDS: ends at the first finding. Its seeds are the repository's and those that
# earlier runs have found; libFuzzer writes new ones to the first folder only.
fuzz_run() {
    local found=$FUZZ_FOUND/$1
    mkdir -p "$found"
    "build/fuzz/tests/fuzz/fuzz_$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$FUZZ_LOGS/$1-" "$found" "tests/fuzz/corpus/$1"
}

fuzz_show_finding() {
    say "  fuzz_$1 FAILED. The end of $FUZZ_LOGS/$1.log:"
    show_tail "$FUZZ_LOGS/$1.log"
    grep -ao "$FUZZ_LOGS/$1-[a-z]*-[0-9a-f]*" "$FUZZ_LOGS/$1.log" | sort -u |
        sed "s|^|  again: build/fuzz/tests/fuzz/fuzz_$1 |" >&2
}

# fuzz_figures NAME: runs, runs a second, inputs kept, from its log.
fuzz_figures() {
    awk '/^stat::number_of_executed_units/ { runs = $2 }
         /^stat::average_exec_per_sec/ { rate = $2 }
         /^stat::new_units_added/ { added = $2 }
         / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "corp:") corp = $(i + 1) } }
         END { printf "%s runs, %s a second, coverage %s, corpus %s, new %s\n", runs, rate, cov, corp, added }' \
        "$FUZZ_LOGS/$1.log"
}
