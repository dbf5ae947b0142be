# shellcheck shell=bash
# One training job under Slurm and COUNT interruptions of random kinds at random moments: it ends with the bits of a quiet run, and
# nothing hangs longer than its deadline.

INTERRUPTION_DEADLINE_S=120 # from an interruption to the first checkpoint after it
STEPS_BETWEEN=400           # or so
CUT_S=30                    # a link that goes down stays down so long

check_interruptions() {
  local count=${COUNT:-20} seed=${SEED:-$(date +%s)} id quiet i kind before started
  local kinds=(rank-killed rank-killed terminated requeued requeued cut)
  bring_up_slurm || fail "Slurm does not come up"
  RANDOM=$seed
  say "$count interruptions, SEED=$seed"
  SLURM_SETTINGS=(--set "train.steps=$((count * STEPS_BETWEEN + 1000))" --set train.log_every=500 --set train.eval_every=2000
    --set checkpoint.every=50 --set checkpoint.best=false --set exchange.timeout=60)
  on_one_host jobs/lenet-digits.toml "$WORK/quiet" "${SLURM_SETTINGS[@]}" > "$WORK/quiet.log" 2>&1 ||
    { cat "$WORK/quiet.log" >&2; fail "the quiet run"; }
  quiet=$(last_hash "$WORK/quiet")
  say "a quiet run ends with hash $quiet"

  id=$(submit often "srun --mpi=pmix" --)
  for ((i = 1; i <= count; i++)); do
    before=$(newest_checkpoint "$WORK/often" 2> /dev/null || true)
    within $INTERRUPTION_DEADLINE_S has_gone_on often "$id" "$before" ||
      complain often "$id" "has written no checkpoint in $INTERRUPTION_DEADLINE_S s"
    sleep "0.$((RANDOM % 10))"
    kind=${kinds[RANDOM % ${#kinds[@]}]}
    started=$SECONDS
    interrupt "$kind" "$id"
    say "$i: $kind, after $(basename "$(newest_checkpoint "$WORK/often")"), $((SECONDS - started)) s"
  done
  within 600 is_over "$id" || complain often "$id" "has not ended"
  [[ $(state "$id") == COMPLETED ]] || complain often "$id" "ended as $(state "$id")"
  [[ $(last_hash "$WORK/often") == "$quiet" ]] || complain often "$id" "ended with $(last_hash "$WORK/often")"
  say "after $count interruptions and $(restarts "$id") restarts the job ended with the bits of the quiet run"
}

# It trains, and has written a checkpoint as its job wants it and not because it was told to stop.
has_gone_on() { # NAME ID BEFORE
  local newest
  newest=$(newest_checkpoint "$WORK/$1" 2> /dev/null) && [[ $newest =~ [05]0.h5$ && $newest != "$3" ]] &&
    [[ $(state "$2") == RUNNING ]] && pgrep -f "$(ranks_of "$1")" > /dev/null
}

interrupt() { # KIND ID
  local node=node$((RANDOM % HOSTS + 1))
  case $1 in
    rank-killed) kill_a_rank "$2" often || fail "there is no rank to kill" ;;
    terminated) slurm_head scancel --signal=TERM "$2" ;;
    requeued) requeue "$2" ;;
    cut)
      cluster exec "$node" ip link set eth0 down
      sleep $CUT_S
      cluster exec "$node" ip link set eth0 up ;;
  esac
}
