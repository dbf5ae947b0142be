# shellcheck shell=bash
# Time of a training step with and without exchange.overlap, in rounds that take turns; overlap.py makes the medians.
# By default, there is one host per core: hosts that share a core have no idle time in which to exchange.
# BATCH samples per host, 256 by default: at most the time to compute them can be hidden.

check_overlap() {
  local rounds=${ROUNDS:-5} batch=${BATCH:-256} steps=${STEPS:-100} job=${JOB:-jobs/lenet-fashion.toml} round overlap when out=${OUT:-$WORK}
  if [[ -z ${JOB:-} ]] && ! ./setup.sh has-data; then
    job=jobs/lenet-digits.toml
    say "there is no Fashion-MNIST here: $job"
  fi
  mkdir -p "$out"
  rm -f "$out"/overlap-*
  for ((round = 1; round <= rounds; round++)); do
    for overlap in true false; do
      when=never
      [[ $overlap == false ]] || when=always
      train "$HOSTS" "$job" "$WORK/overlap" --set exchange.overlap=$when --set train.steps="$steps" \
        --set train.global_batch=$((batch * HOSTS)) \
        --set train.log_every=$((steps / 5)) --set train.eval_every=0 --set checkpoint.every=0 > "$WORK/log" 2>&1 ||
        { cat "$WORK/log" >&2; return 1; }
      mv "$WORK/overlap/metrics.jsonl" "$out/overlap-$overlap-$round.jsonl"
      rm -r "$WORK/overlap"
    done
  done
  say "$batch samples a host and step"
  python3 "$HERE/checks/overlap.py" "$out"/overlap-*.jsonl
}
