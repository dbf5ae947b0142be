# shellcheck shell=bash
# What goes wrong on clusters beside a host that is gone: links that are slow or away for a while, a full disk, two jobs for one
# directory, a lock whose owner was killed, a wrong clock, hosts with other programs or jobs.

check_faults() { # RATE
  FAULTS=$WORK/faults
  mkdir "$FAULTS"
  digits quiet || { cat "$FAULTS/quiet.log" >&2; fail "the quiet run"; }
  QUIET=$(hash_of quiet)
  say "a quiet run ends with hash $QUIET"
  a_link_is_away_for_a_while
  a_slow_link_is_named "$1"
  a_full_disk_loses_nothing
  one_directory_one_run
  a_clock_is_wrong
  hosts_differ
}

SETTINGS=(--set train.epochs=25 --set checkpoint.every=200)

digits() { # NAME [WORDS...]: over the hosts
  train "$HOSTS" jobs/lenet-digits.toml "$FAULTS/$1" "${SETTINGS[@]}" "${@:2}" > "$FAULTS/$1.log" 2>&1
}

hash_of() { # NAME
  "$PROGRAM" inspect --json --no-ranks "$(find "$FAULTS/$1/checkpoints" -name 'step-*.h5' | sort | tail -n 1)" |
    sed -n 's/.*"hash":"\([0-9a-f]*\)".*/\1/p'
}

wrong_end() { # NAME WORDS...
  cat "$FAULTS/$1.log" >&2
  fail "$1: ${*:2}"
}

same_bits() { # NAME
  [[ $(hash_of "$1") == "$QUIET" ]] || wrong_end "$1" "ended with $(hash_of "$1"), the quiet run with $QUIET"
}

says() { grep -q -- "$2" "$FAULTS/$1.log" || wrong_end "$1" "does not say '$2'"; } # NAME PATTERN

until_step() { # NAME STEP JOB
  until grep -qs "\"event\":\"train\",\"step\":$2," "$FAULTS/$1/metrics.jsonl"; do
    kill -0 "$3" 2> /dev/null || wrong_end "$1" "ended before step $2"
    sleep 0.1
  done
}

# TCP sends again what was lost: shorter than exchange.timeout (and than mpirun's own patience), no more than a delay.
a_link_is_away_for_a_while() {
  local job code=0
  digits away & job=$!
  until_step away 300 $job
  cluster exec node2 ip link set eth0 down
  sleep 4
  cluster exec node2 ip link set eth0 up
  wait $job || code=$?
  [[ $code == 0 ]] || wrong_end away "ended with code $code"
  same_bits away
  say "a link that is away for 4 s delays the run and changes nothing"
}

a_slow_link_is_named() {
  local job code=0 end
  digits slow --set exchange.warn_after=1 & job=$!
  until_step slow 300 $job
  # Less than one exchange a second.
  cluster exec node3 tc qdisc replace dev eth0 root tbf rate 8kbit burst 2kb latency 60000ms
  end=$((SECONDS + 60))
  until grep -q "rank 2 on node3 is late" "$FAULTS/slow.log" || ((SECONDS > end)); do sleep 0.2; done
  cluster rate "$1"
  wait $job || code=$?
  [[ $code == 0 ]] || wrong_end slow "ended with code $code"
  says slow "rank 2 on node3 is late"
  same_bits slow
  say "a link at 8 kbit/s: \"$(grep -m 1 -o 'rank 2 on node3 is late.*' "$FAULTS/slow.log")\""
}

# Rank 0's disk is too small for a second checkpoint: the first is kept, and with more room the run continues from there.
a_full_disk_loses_nothing() {
  local code=0 directory=$FAULTS/full
  mkdir "$directory"
  cluster exec node1 mount -t tmpfs -o size=300k tmpfs "$directory"
  on_node1 full || code=$?
  [[ $code == 4 ]] || wrong_end full "ended with code $code, not 4"
  says full "No space left on device"
  [[ $(cluster exec node1 sh -c "ls $directory/run/checkpoints/step-*.h5 | wc -l") -ge 1 ]] || wrong_end full "has lost its checkpoints"
  cluster exec node1 mount -o remount,size=30m "$directory"
  on_node1 full --resume || wrong_end full "cannot be resumed"
  says full "steps [1-9][0-9]* to"
  cluster exec node1 cp -r "$directory/run" "$FAULTS/full-copy"
  cluster exec node1 umount "$directory"
  same_bits full-copy
  say "a full disk ends a run with code 4; with more room it continues from its last checkpoint to the same bits"
}

on_node1() { # NAME [WORDS...]: as many ranks, all on node1, which alone sees the small disk
  on_one_host jobs/lenet-digits.toml "$FAULTS/$1/run" "${SETTINGS[@]}" --set checkpoint.keep=20 "${@:2}" > "$FAULTS/$1.log" 2>&1
}

one_directory_one_run() {
  local job code=0
  digits first & job=$!
  until_step first 200 $job
  # However long the second takes to come, the first is still there.
  pkill -STOP -f "run-dir $FAULTS/first " || wrong_end first "ended too early"
  train "$HOSTS" jobs/lenet-digits.toml "$FAULTS/first" "${SETTINGS[@]}" --resume > "$FAULTS/second.log" 2>&1 || code=$?
  [[ $code == 5 ]] || wrong_end second "ended with code $code, not 5"
  says second "another run is writing there"
  # Its lock does not outlive it, however it dies.
  pkill -KILL -f "run-dir $FAULTS/first " || wrong_end first "was not there to be killed"
  wait $job && fail "the run outlived its ranks"
  digits first --resume || wrong_end first "cannot be resumed after SIGKILL"
  same_bits first
  say "a second run in one directory is refused; after SIGKILL of all ranks the first resumes to the same bits"
}

# As where this host's clock is ahead: a run that is there has not reached its end.
a_clock_is_wrong() {
  digits clock --end-time $(($(date +%s) - 7200)) || wrong_end clock "ended with an error"
  says clock "the allocation ended 7[0-9]* s ago by the clock of node1"
  same_bits clock
  say "an allocation's end that has passed is taken for a wrong clock"
}

hosts_differ() {
  local host code=0
  for host in node1 node2; do
    cluster exec $host cp "$PROGRAM" /tmp/ternflock
    cluster exec $host cp jobs/lenet-digits.toml /tmp/job.toml
  done
  cluster exec node2 sed -i 's/^epochs.*/epochs = 3/' /tmp/job.toml
  cluster mpirun 2 /tmp/ternflock train /tmp/job.toml --run-dir "$FAULTS/differ" > "$FAULTS/jobs.log" 2>&1 < /dev/null || code=$?
  [[ $code != 0 && ! -e $FAULTS/differ ]] || wrong_end jobs "ended with code $code"
  says jobs "the hash of the job is 0x[0-9a-f]* on rank 1 and 0x[0-9a-f]* on rank 0"
  # Behind what the system loads of it.
  cluster exec node2 cp jobs/lenet-digits.toml /tmp/job.toml
  cluster exec node2 sh -c 'echo >> /tmp/ternflock'
  code=0
  cluster mpirun 2 /tmp/ternflock train /tmp/job.toml --run-dir "$FAULTS/differ" > "$FAULTS/programs.log" 2>&1 < /dev/null || code=$?
  [[ $code != 0 && ! -e $FAULTS/differ ]] || wrong_end programs "ended with code $code"
  says programs "the hash of the program is 0x[0-9a-f]* on rank 1 and 0x[0-9a-f]* on rank 0"
  say "hosts with other jobs or programs are refused with both hashes"
}
