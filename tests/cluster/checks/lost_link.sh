# shellcheck shell=bash
# A host whose link goes down in the middle of a training ends the job: with a message of a rank that waited, no later
# than exchange.timeout and what mpirun itself takes to give the host up.

TIMEOUT=5  # exchange.timeout, seconds
MPIRUN_S=40 # what mpirun may take after that

check_lost_link() {
  local code=0 started dir=$WORK/lost job lost=node$HOSTS
  train "$HOSTS" "$HERE/wide.toml" "$dir" --set exchange.timeout=$TIMEOUT --set train.steps=1000000 \
    --set train.log_every=10 --set train.eval_every=0 --set checkpoint.every=0 > "$WORK/lost.log" 2>&1 &
  job=$!
  until grep -qs '"event":"train"' "$dir/metrics.jsonl"; do
    kill -0 $job 2> /dev/null || { cat "$WORK/lost.log" >&2; fail "the training did not begin"; }
    sleep 0.1
  done
  cluster exec "$lost" ip link set eth0 down
  started=$SECONDS
  while kill -0 $job 2> /dev/null && ((SECONDS - started < TIMEOUT + MPIRUN_S)); do sleep 0.1; done
  if kill -0 $job 2> /dev/null; then
    cat "$WORK/lost.log" >&2
    fail "the job still hangs $((SECONDS - started)) s after $lost was cut off"
  fi
  wait $job || code=$?
  cluster exec "$lost" ip link set eth0 up
  [[ $code != 0 ]] || fail "the job ended as if nothing had happened"
  grep -m 1 'rank .* on node.*waited' "$WORK/lost.log" || { cat "$WORK/lost.log" >&2; fail "no rank says what happened"; }
  say "the job ended with code $code, $((SECONDS - started)) s after $lost was cut off"
}
