#!/usr/bin/env bash
# Runs fuzz targets, two at a time: `fuzz/run.sh SECONDS [TARGET...]`. The default is all targets. Each target starts from
# its seeds and from the corpus of earlier runs. Prints a table. Exits with 1 if a target found a failure: the input is in
# fuzz/artifacts/TARGET, and `cargo +nightly fuzz run TARGET FILE` reproduces it. Exits with 77 if the nightly compiler or
# cargo-fuzz is missing (`./setup.sh fuzz` installs them).
set -uo pipefail
cd "$(dirname "$0")/.." || exit

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzz: skipped: it needs a nightly compiler and cargo-fuzz: ./setup.sh fuzz" >&2
    exit 77
fi
seconds=${1:?"usage: fuzz/run.sh SECONDS [TARGET...]"}
shift
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(cargo +nightly fuzz list)

# This keeps the program from restarting itself with better OpenBLAS kernels. No target computes anything.
export OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-Haswell} OPENBLAS_NUM_THREADS=1
cargo +nightly fuzz build || exit
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Limits per target: peak memory in MB, and seconds per input.
run() {
    local seeds=("fuzz/seeds/$1")
    [[ $1 != job ]] || seeds+=(jobs)
    mkdir -p "fuzz/corpus/$1"
    cargo +nightly fuzz run "$1" "fuzz/corpus/$1" "${seeds[@]}" -- -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=65536 -print_final_stats=1 >"$logs/$1" 2>&1
    echo $? >"$logs/$1.code"
}

for target in "${targets[@]}"; do
    while [[ $(jobs -rp | wc -l) -ge 2 ]]; do wait -n; done
    run "$target" &
done
wait

failed=0
printf '%-18s %12s %8s %6s %6s %8s\n' target inputs crashes hangs memory peak_MB
for target in "${targets[@]}"; do
    stat() { sed -n "s/^stat::$1: *//p" "$logs/$target"; }
    count() { find "fuzz/artifacts/$target" -name "$1-*" 2>/dev/null | wc -l; }
    printf '%-18s %12s %8s %6s %6s %8s\n' "$target" "$(stat number_of_executed_units)" "$(count crash)" \
        "$(count timeout)" "$(count oom)" "$(stat peak_rss_mb)"
    if [[ $(<"$logs/$target.code") != 0 ]]; then
        failed=1
        tail -n 40 "$logs/$target" >&2
    fi
done
exit $failed
