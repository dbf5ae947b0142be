# shellcheck shell=bash
# slurm/train.sbatch on a real Slurm: whatever ends a run in between, the job comes back by itself and ends with the bits of a
# run that nothing has disturbed.

SLURM_EPOCHS=40 # of lenet-digits: some ten seconds
AGAIN_S=90      # after which a job that was disturbed has ended

check_slurm() {
  local code=0 quiet
  bring_up_slurm || code=$?
  [[ $code != 77 ]] || { say "skipped: no Slurm on this machine"; return 0; }
  [[ $code == 0 ]] || fail "Slurm does not come up"

  # The reference does without Slurm.
  train "$HOSTS" jobs/lenet-digits.toml "$WORK/quiet" "${SLURM_SETTINGS[@]}" > "$WORK/quiet.log" 2>&1 ||
    { cat "$WORK/quiet.log" >&2; fail "the quiet run"; }
  quiet=$(last_hash "$WORK/quiet")
  say "a quiet run ends with hash $quiet"

  disturbed srun-preempted "srun --mpi=pmix" preempt
  disturbed srun-rank-killed "srun --mpi=pmix" kill_a_rank
  disturbed mpirun-warned mpirun warn
  disturbed srun-requeued "srun --mpi=pmix" requeue
  disturbed srun-unreachable "srun --mpi=pmix" requeue_without_a_link
  # What MPICH speaks: MPICH_PROGRAM is a program built against it (make build MPI=mpich).
  [[ -z ${MPICH_PROGRAM:-} ]] || PROGRAM=$MPICH_PROGRAM disturbed pmi2-requeued "srun --mpi=pmi2" requeue
  replaces_kernels
  stays_cancelled
  goes_on_elsewhere
  sweeps
  scales
  refuses
}

SLURM_SETTINGS=(--set "train.epochs=$SLURM_EPOCHS" --set checkpoint.every=200)

bring_up_slurm() {
  slurm_head true 2> /dev/null && [[ -d /run/ternflock-cluster/$CLUSTER/run/slurm ]] && return 0
  cluster slurm || return
  site "$WORK/site.env" 'srun --mpi=pmix'
}

slurm_head() { cluster exec head "$@" < /dev/null; }

# What a user would write for these hosts. Root, TCP and no binding are theirs: they share the machine's cores.
site() { # FILE LAUNCHER
  cat > "$1" << END
SITE_MODULES=''
SITE_LAUNCHER='$2'
SITE_INTERFACE=eth0
SITE_PROGRAM='$PROGRAM'
SITE_DATA=''
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,tcp,vader OMPI_MCA_hwloc_base_binding_policy=none
END
}

submit() { # NAME LAUNCHER SBATCH-WORDS... -- TRAIN-WORDS...: prints the job's number
  local name=$1 launcher=$2 options=()
  shift 2
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  site "$WORK/$name.env" "$launcher"
  TERNFLOCK_SITE=$WORK/$name.env slurm_head sbatch --parsable --nodes="$HOSTS" --output="$WORK/$name.log" "${options[@]}" \
    slurm/train.sbatch jobs/lenet-digits.toml --run-dir "$WORK/$name" "${SLURM_SETTINGS[@]}" "${@:2}"
}

state() { # ID: as Slurm's books say it
  slurm_head scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'
}

restarts() { slurm_head scontrol show job "$1" | sed -n 's/.*Restarts=\([0-9]*\).*/\1/p'; }

is_over() { [[ $(state "$1") =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$ ]]; }

within() { # SECONDS CMD...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

has_steps() { # NAME STEP
  grep -qs "\"event\":\"train\",\"step\":$2," "$WORK/$1/metrics.jsonl"
}

last_hash() { "$PROGRAM" inspect --json --no-ranks "$(newest_checkpoint "$1")" | sed -n 's/.*"hash":"\([0-9a-f]*\)".*/\1/p'; }
newest_checkpoint() { find "$1/checkpoints" -name 'step-*.h5' | sort | tail -n 1; }

complain() { # NAME ID WORDS...
  cat "$WORK/$1.log" >&2
  slurm_head scontrol show job "$2" >&2
  fail "$1: ${*:3}"
}

# The job is disturbed in the middle, and ends with the quiet one's bits.
disturbed() { # NAME LAUNCHER HOW
  local name=$1 id
  id=$(submit "$name" "$2" --)
  within 60 has_steps "$name" 500 || complain "$name" "$id" "does not begin"
  "$3" "$id" "$name"
  within $AGAIN_S is_over "$id" || complain "$name" "$id" "has not ended in $AGAIN_S s"
  [[ $(state "$id") == COMPLETED ]] || complain "$name" "$id" "ended as $(state "$id")"
  [[ $(restarts "$id") == 1 ]] || complain "$name" "$id" "was started $(restarts "$id") times again"
  [[ $(last_hash "$WORK/$name") == "$quiet" ]] || complain "$name" "$id" "ended with $(last_hash "$WORK/$name"), the quiet run with $quiet"
  say "$name: came back from step $(resumed_at "$name") and ended with the same bits"
}

# OpenBLAS on these nodes does not know their processor, as far as the program can tell: each rank that srun starts restarts
# itself with better kernels before it joins the others.
replaces_kernels() {
  local id name=poor-kernels
  grep -qsw avx2 /proc/cpuinfo || { say "$name: skipped, this processor has nothing better"; return 0; }
  id=$(submit "$name" "srun --mpi=pmix" --export=ALL,OPENBLAS_CORETYPE=Prescott,TERNFLOCK_OPENBLAS_CORETYPE=Prescott -- \
    --set train.epochs=1)
  within $AGAIN_S is_over "$id" || complain "$name" "$id" "has not ended in $AGAIN_S s"
  [[ $(state "$id") == COMPLETED ]] || complain "$name" "$id" "ended as $(state "$id")"
  head -n 1 "$WORK/$name/metrics.jsonl" | grep -q "\"ranks\":$HOSTS,.*\"blas\":\"OpenBLAS" ||
    complain "$name" "$id" "does not name its BLAS"
  ! grep -q Prescott "$WORK/$name/metrics.jsonl" || complain "$name" "$id" "kept the poor kernels"
  say "$name: every rank restarted itself with better kernels"
}

resumed_at() { sed -n 's/.* steps \([1-9][0-9]*\) to .*/\1/p' "$WORK/$1.log" | tail -n 1; }

# Another job takes all nodes. Slurm sends this one SIGTERM and gives it its grace time. Its ranks are stopped until Slurm has
# pre-empted it: on a fast machine the run could otherwise end before Slurm looks at its queue. Slurm itself sends SIGCONT
# before SIGTERM; the one below is for ranks that were stopped later than that.
preempt() { # ID NAME
  pkill -STOP -f "$(ranks_of "$2")"
  slurm_head sbatch --quiet --exclusive --nodes="$HOSTS" --partition=urgent --output="$WORK/urgent.log" --wrap 'sleep 1'
  within 30 was_preempted "$1" || { pkill -CONT -f "$(ranks_of "$2")"; complain "$2" "$1" "is not pre-empted"; }
  pkill -CONT -f "$(ranks_of "$2")" || true
}

was_preempted() { slurm_head scontrol show job "$1" | grep -q 'PreemptTime=2'; }

# What the command lines of a run's ranks hold.
ranks_of() { printf 'train jobs/lenet-digits.toml --run-dir %s ' "$WORK/$1"; } # NAME

kill_a_rank() { pkill -KILL -n -f "$(ranks_of "$2")"; } # ID NAME

# What `--signal=B:USR1@60` sends when the time limit is near.
warn() { slurm_head scancel --batch --signal=USR1 "$1"; }

requeue() { slurm_head scontrol requeue "$1"; }

# A node whose link is away when the job starts again, and comes back.
requeue_without_a_link() { # ID NAME
  local code=0
  requeue "$1"
  within 30 is_pending "$1" || complain "$2" "$1" "does not leave its nodes"
  cluster exec "node$HOSTS" ip link set eth0 down
  within 60 grep -q "start 2 of" "$WORK/$2.log" || code=1
  cluster exec "node$HOSTS" ip link set eth0 up
  [[ $code == 0 ]] || complain "$2" "$1" "does not see that node$HOSTS cannot be reached"
}

is_pending() { [[ $(state "$1") == PENDING ]]; }

stays_cancelled() {
  local id
  id=$(submit cancelled "srun --mpi=pmix" --)
  within 60 has_steps cancelled 100 || complain cancelled "$id" "does not begin"
  slurm_head scancel "$id"
  within $AGAIN_S is_over "$id" || complain cancelled "$id" "is still there"
  sleep 7 # longer than a requeued job would wait
  [[ $(state "$id") == CANCELLED && $(restarts "$id") == 0 ]] || complain cancelled "$id" "ended as $(state "$id")"
  [[ -n $(newest_checkpoint "$WORK/cancelled") ]] || complain cancelled "$id" "left no checkpoint"
  say "a job that is cancelled writes a checkpoint and does not come again"
}

# The run that was cancelled continues with fewer ranks under a time limit, the shortest that Slurm has, and stops well before without
# a signal that says so.
goes_on_elsewhere() {
  local id
  id=$(TERNFLOCK_SITE=$WORK/site.env slurm_head sbatch --parsable --nodes=2 --output="$WORK/fewer.log" --no-requeue \
    --time=1 --signal=B:CONT@1 \
    slurm/train.sbatch jobs/lenet-digits.toml --run-dir "$WORK/cancelled" "${SLURM_SETTINGS[@]}" --set train.epochs=100000 \
    --allow-changes)
  within $AGAIN_S is_over "$id" || complain fewer "$id" "has not ended"
  grep -q "the allocation's end stops the run" "$WORK/fewer.log" || complain fewer "$id" "did not see the allocation's end"
  grep -q "written on $HOSTS ranks, continuing on 2" "$WORK/fewer.log" || complain fewer "$id" "does not say that the ranks are fewer"
  say "a run continues with 2 ranks, and stops before the allocation's end"
}

# An array of two runs, a task each.
sweeps() {
  # shellcheck disable=SC2054 # the comma belongs to the value
  local id words=(jobs/lenet-digits.toml --seeds 1,2 --set train.epochs=1 --into "$WORK/sweep")
  id=$(TERNFLOCK_SITE=$WORK/site.env slurm_head sbatch --parsable --array=0-1 --output="$WORK/sweep-%a.log" slurm/sweep.sbatch "${words[@]}")
  within $AGAIN_S has_left "$id" || complain sweep-0 "$id" "has not ended"
  "$PROGRAM" sweep "${words[@]}" --report | grep -q 'lenet-digits *2 ' || complain sweep-1 "$id" "has not done both runs"
  say "an array does the runs of a sweep"
}

has_left() { [[ -z $(slurm_head squeue --noheader --jobs="$1" 2> /dev/null) ]]; }

# The same job on 1, 2 and 4 nodes, or as many as there are.
scales() {
  local id launcher
  for launcher in "srun --mpi=pmix" mpirun; do
    site "$WORK/scales.env" "$launcher"
    id=$(TERNFLOCK_SITE=$WORK/scales.env slurm_head sbatch --parsable --nodes="$HOSTS" --output="$WORK/scales.log" \
      slurm/scaling.sbatch jobs/lenet-digits.toml --steps 2 --rounds 2 --svg "$WORK/scales.svg")
    within $AGAIN_S is_over "$id" || complain scales "$id" "has not ended"
    [[ $(state "$id") == COMPLETED && -s $WORK/scales.svg ]] || complain scales "$id" "ended as $(state "$id")"
    grep -q "^ *$HOSTS *$HOSTS  ring_ternary" "$WORK/scales.log" || complain scales "$id" "did not measure $HOSTS hosts"
    rm "$WORK/scales.svg"
  done
  say "one allocation measures 1 to $HOSTS nodes, by srun and by mpirun"
}

# Each of these ends at once, with a message that names what is wrong.
refuses() {
  local file=$WORK/refused.env
  site "$file" 'srun --mpi=pmix'
  sed -i '/SITE_DATA/d' "$file"
  refused missing "has no SITE_DATA"
  site "$file" 'srun --mpi=pmi7'
  refused pmi "does not speak pmi7; it does .*pmix"
  site "$file" 'mpiexec.absent'
  refused launcher "there is no mpiexec.absent here; .*'mpirun'"
  site "$file" 'srun --mpi=pmix'
  sed -i 's/eth0/eth7/' "$file"
  refused interface "no interface eth7 on node1 node2"
  site "$file" 'srun'
  refused strangers "srun --mpi=pmix"
  say "a site file that does not fit is refused: $(tail -qn 1 "$WORK"/refused-*.log | wc -l) ways"
}

refused() { # NAME PATTERN
  local id
  id=$(TERNFLOCK_SITE=$WORK/refused.env slurm_head sbatch --parsable --nodes=2 --output="$WORK/refused-$1.log" \
    slurm/train.sbatch jobs/lenet-digits.toml --run-dir "$WORK/refused")
  within 30 is_over "$id" || complain "refused-$1" "$id" "has not ended"
  [[ $(state "$id") == FAILED && ! -e $WORK/refused ]] || complain "refused-$1" "$id" "ended as $(state "$id")"
  grep -q "$2" "$WORK/refused-$1.log" || complain "refused-$1" "$id" "does not say '$2'"
}
