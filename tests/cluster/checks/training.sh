# shellcheck shell=bash
# The same job ends with the same checkpoint on one host as on several, and the links carry what the program counts.

check_training() {
  same_as_on_one_host jobs/lenet-digits.toml never
  same_as_on_one_host "$HERE/wide.toml" never
  same_as_on_one_host "$HERE/wide.toml" always
}

# "auto" would measure the links first, with messages that are not part of the exchange.
same_as_on_one_host() { # JOB CODING
  local name steps=100 before after one several run
  name="$(basename "$1" .toml), coding $2"
  run=$WORK/$(basename "$1" .toml)-$2
  local settings=(--set "train.steps=$steps" --set train.eval_every=0 --set "exchange.coding=$2")
  on_one_host "$1" "$run-one" "${settings[@]}" > "$WORK/log" 2>&1 || { cat "$WORK/log" >&2; return 1; }
  before=$(bytes_sent)
  train "$HOSTS" "$1" "$run-several" "${settings[@]}" > "$WORK/log" 2>&1 || { cat "$WORK/log" >&2; return 1; }
  after=$(bytes_sent)
  grep -q "\"hosts\":$HOSTS," "$run-several/metrics.jsonl" || fail "$name did not run on $HOSTS hosts"
  one=$(checkpoint_hash "$run-one")
  several=$(checkpoint_hash "$run-several")
  [[ -n $one && $one == "$several" ]] || fail "$name: checkpoint $several on $HOSTS hosts, $one on one"
  say "$name: after $steps steps the checkpoint of $HOSTS hosts is that of one host, hash $one"
  compare_bytes "$name" $(((after - before) / HOSTS)) "$(number bytes_per_step "$run-several/metrics.jsonl")" $steps
}

on_one_host() { # JOB RUN_DIR ARGUMENTS...
  cluster exec node1 env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    OMPI_MCA_rmaps_base_oversubscribe=true PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
    "${MPIRUN:-mpirun}" -n "$HOSTS" "$PROGRAM" train "$1" --run-dir "$2" "${@:3}" < /dev/null
}

checkpoint_hash() { # RUN_DIR: of all parameters and the optimizer's state
  "$PROGRAM" inspect --json "$1"/checkpoints/step-*.h5 | sed -n 's/.*"hash":"\([0-9a-f]*\)".*/\1/p'
}

bytes_sent() { cluster bytes | awk '{ sum += $3 } END { print sum }'; }

# Long messages have few headers. Where messages are short, and the launcher's words count, the figure is only printed.
compare_bytes() { # NAME LINK PROGRAM STEPS: bytes a host, in all and a step
  awk -v name="$1" -v link="$2" -v program="$3" -v steps="$4" 'BEGIN {
    ratio = link / (program * steps)
    printf "%s: a host sent %d bytes, %.3f x the %d that the program counts\n", name, link, ratio, program * steps
    exit !(ratio >= 1 && (ratio <= 1.1 || program < 100000)) }' ||
    fail "$1: links and program differ by more than 10 %"
}
