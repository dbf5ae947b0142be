# shellcheck shell=bash
# One training job for SOAK_S seconds with a checkpoint every few seconds: what each rank holds in memory and in open files, every 10 s,
# into soak.tsv. Flat memory is a last quarter whose most is not above the first quarter's, a 64th of it and a megabyte aside.

check_soak() {
  local seconds=${SOAK_S:-3600} out=${OUT:-$WORK} job end code=0 pid
  mkdir -p "$out"
  train "$HOSTS" jobs/lenet-digits.toml "$WORK/soak" --set train.steps=1000000000 --set train.log_every=1000 \
    --set train.eval_every=5000 --set checkpoint.every=2000 --set smoothout.a=0.001 > "$WORK/soak.log" 2>&1 & job=$!
  until grep -qs '"event":"checkpoint"' "$WORK/soak/metrics.jsonl"; do
    kill -0 $job 2> /dev/null || { cat "$WORK/soak.log" >&2; fail "the run ended at once"; }
    sleep 1
  done
  printf 'second\tpid\trss_kb\tfiles\n' > "$out/soak.tsv"
  end=$((SECONDS + seconds))
  while ((SECONDS < end)); do
    for pid in $(soaking); do
      printf '%d\t%d\t%d\t%d\n' $((SECONDS + seconds - end)) "$pid" "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")" \
        "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" >> "$out/soak.tsv"
    done
    kill -0 $job 2> /dev/null || { cat "$WORK/soak.log" >&2; fail "the run ended by itself"; }
    sleep 10
  done
  # shellcheck disable=SC2046
  kill -TERM $(soaking)
  wait $job || code=$?
  [[ $code == 75 ]] || fail "the run ended with code $code, not 75"
  grep -o 'step [0-9]*' "$WORK/soak.log" | tail -n 1
  say "$(find "$WORK/soak/checkpoints" -name 'step-*.h5' | wc -l) checkpoints are kept"
  python3 "$HERE/checks/soak.py" "$out/soak.tsv"
}

# The processes of the ranks.
soaking() {
  pgrep -x "$(basename "$PROGRAM")" | xargs -r -I{} grep -lz -- "$WORK/soak" /proc/{}/cmdline 2> /dev/null | cut -d/ -f3
}
