#!/usr/bin/env bash
# Reproduces the accuracy table of docs/results.md: LeNet on MNIST, total batch 64, 10,000 steps, float32 and ternary
# gradients on 1, 2, 4 and 8 ranks. Each run trains on all 60,000 samples, and its last network is evaluated on the test set.
# Slow: half an hour on 2 cores. Run as `make reproduce`.
#
#   RANKS="1 2"       numbers of ranks
#   SEEDS="123 124"   seeds; the table has one row a seed
#   STEPS=10000       steps
#   OUT=runs/reproduce  where the runs go; runs that are complete there are not repeated
set -euo pipefail

program=${TERNFLOCK:-${CARGO_TARGET_DIR:-target}/release/ternflock}
out=${OUT:-runs/reproduce}
mkdir -p "$out"

[[ -n $("$program" data list | awk '$1 == "mnist" && $0 ~ / no /') ]] && "$program" data fetch mnist

measure() { # GRADIENTS RANKS SEED: accuracy and bytes a step of rank 0
  local dir=$out/lenet-mnist-$1-p$2-seed$3 launch=()
  (($2 > 1)) && launch=("${MPIRUN:-mpirun}" -n "$2")
  if ! grep -qs '"complete":true' "$dir/metrics.jsonl"; then
    rm -rf "$dir"
    "${launch[@]}" "$program" train jobs/lenet-mnist.toml --run-dir "$dir" --set exchange.gradients="$1" \
      --set train.seed="$3" --set train.steps="${STEPS:-10000}" --set data.validation=0 --set checkpoint.best=false \
      > "$dir.log" 2>&1 < /dev/null ||
      { tail -n 5 "$dir.log" >&2; return 1; }
  fi
  tail -n 1 "$dir/metrics.jsonl" | sed 's/.*"test":{[^}]*"accuracy":\([0-9.]*\).*"bytes_per_step":\([0-9.]*\).*/\1 \2/'
}

echo "| seed | ranks | float32 | ternary | difference | bytes a step: float32 | ternary |"
echo "|---|---|---|---|---|---|---|"
for seed in ${SEEDS:-123}; do
  for ranks in ${RANKS:-1 2 4 8}; do
    float=$(measure float32 "$ranks" "$seed")
    ternary=$(measure ternary "$ranks" "$seed")
    awk -v s="$seed" -v p="$ranks" -v f="$float" -v t="$ternary" 'BEGIN {
      split(f, float); split(t, ternary); difference = 100 * (ternary[1] - float[1])
      printf "| %s | %s | %.2f %% | %.2f %% | %+.2f | %d | %d |\n", s, p, 100 * float[1], 100 * ternary[1],
        difference, float[2], ternary[2] }'
  done
done
