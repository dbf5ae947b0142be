# shellcheck shell=bash
# Time to quality: the hours of training until a perplexity is reached, for each way to exchange gradients. The time of a
# step is measured over the hosts. The perplexity after each number of steps is measured by training the same job with the
# same number of ranks on one host, once for each of SEEDS. Results are kept in OUT, and runs that are complete there are not
# repeated, so that an interrupted measurement continues. quality.py prints the table. A measurement; takes hours.

# The ways to exchange gradients, one per line: NAME ARGUMENTS...
quality_ways() {
  cat << 'END'
float32 --set exchange.gradients=float32
ternary
ternary-published --set exchange.clip_sigma_over=elements
ternary-every-tensor --set exchange.keep_float=[]
END
}

check_quality() {
  local out=${OUT:-runs/quality} job=${JOB:-jobs/lstm-ptb.toml} epochs=${EPOCHS:-13} steps=${STEPS:-30} rounds=${ROUNDS:-3}
  local name settings seed round run
  mkdir -p "$out"
  while read -r name settings; do
    [[ -z ${WAYS:-} || ,$WAYS, == *,$name,* ]] || continue
    # No setting contains spaces, so the line splits at spaces.
    read -ra settings <<< "$settings"
    for ((round = 1; round <= rounds; round++)); do
      run=$out/$name-step-$round
      ! complete "$run" || continue
      rm -rf "$run"
      train "$HOSTS" "$job" "$run" "${settings[@]}" --set train.steps="$steps" --set train.log_every=$((steps / 5)) \
        --set train.eval_every="$steps" --set checkpoint.every=0 > "$WORK/log" 2>&1 || { cat "$WORK/log" >&2; return 1; }
    done
    for seed in ${SEEDS:-123 124 125}; do
      run=$out/$name-seed-$seed
      ! complete "$run" || continue
      rm -rf "$run"
      on_one_host "$job" "$run" "${settings[@]}" --set train.epochs="$epochs" --set train.seed="$seed" \
        --set train.eval_every="${EVERY:-1000}" --set checkpoint.every=0 > "$WORK/log" 2>&1 ||
        { cat "$WORK/log" >&2; return 1; }
    done
  done < <(quality_ways)
  "${PYTHON:-python3}" "$HERE/checks/quality.py" "$out"
}

complete() { # RUN_DIR
  grep -qs '"event":"end".*"complete":true' "$1/metrics.jsonl"
}
