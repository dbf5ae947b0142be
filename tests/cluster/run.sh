#!/usr/bin/env bash
# Tests and measurements that need several hosts: run.sh [CHECK...], or `make cluster`.
#
#   training    training on several hosts gives the same result as on one, and the links carry the bytes that the program counts
#   lost-link   a host that is cut off ends the job in time, with a message
#   faults      slow links, links away for a while, a full disk, two jobs in one directory, wrong clocks, hosts that differ
#   slurm       slurm/train.sbatch on a real Slurm: a job that is pre-empted, warned, killed or requeued restarts by itself and
#               ends with the same bits; skipped with a message if there is no Slurm
#   interruptions  COUNT=20 interruptions of random kinds (SEED) of one job under Slurm, which ends with the bits of a quiet run; takes
#               minutes; not a default check
#   soak        one job for SOAK_S=3600 seconds with checkpoints: memory and open files do not grow; not a default check
#   allreduce   every all-reduce is correct with one and with two ranks per host, sends the bytes of its formula according to the
#               program's counter and on the links, and is as fast as docs/results.md requires
#   scaling     steps of JOBS="convnet lstm" (also lstm-medium, lenet) with each averaging method, and with PyTorch if PYTHON has
#               torch; a measurement
#   forecast    compares the steps that `ternflock forecast` reports with measured ones, HOSTS=8, on three networks; a measurement
#   overlap     time of a step with and without exchange.overlap; a measurement; not a default check
#   quality     hours of training until a perplexity is reached, for each way to exchange gradients; a measurement; takes hours
#
#   HOSTS=4  RATE=1gbit   the cluster; overlap and quality take 100mbit unless RATE is given, overlap one host per core
#   ELEMENTS=1e6,1e7      for allreduce
#   ROUNDS=5  STEPS=100  BATCH=256  JOB=jobs/lenet-fashion.toml  for overlap, ROUNDS=3 for scaling, ROUNDS=2 for forecast;
#                         BATCH is samples per host
#   SEEDS="123 124 125"  EPOCHS=13  EVERY=1000  WAYS=float32,ternary,...  JOB=jobs/lstm-ptb.toml  for quality, which evaluates
#                         every EVERY steps and continues from the results in OUT
#   MPICH_PROGRAM=target/mpich/release/ternflock  for slurm: a build against MPICH, started by srun --mpi=pmi2
#   OUT=DIRECTORY         keeps the measurements of allreduce, overlap and quality
#
# Exit code 0: all passed; 1: one failed; 77: skipped, because this machine cannot emulate hosts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

HERE=tests/cluster
PROGRAM=${TERNFLOCK:-${CARGO_TARGET_DIR:-target}/release/ternflock}
HOSTS=${HOSTS:-}
CHECK= # the process of the check under way
WORK=  # where runs go
export CLUSTER=test-$$ # beside any other that is up
# Hosts share the cores of this machine; and sums are bit-identical only with the same number of threads.
export OPENBLAS_NUM_THREADS=1

for part in training lost_link faults slurm interruptions soak allreduce overlap scaling forecast quality; do
  # shellcheck source=/dev/null
  source "$HERE/checks/$part.sh"
done

say() { printf '%s\n' "$*"; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; return 1; }
cluster() { "$HERE/cluster" "$@"; }

train() { # RANKS JOB RUN_DIR [--set KEY=VALUE]...: over the hosts
  cluster mpirun "$1" "$PROGRAM" train "$2" --run-dir "$3" "${@:4}" < /dev/null
}

number() { # KEY FILE: of the last line
  tail -n 1 "$2" | sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"
}

clean_up() {
  # Processes on the hosts end with the hosts; the check itself runs here.
  [[ -z $CHECK ]] || kill "$CHECK" 2> /dev/null || true
  cluster down 2> /dev/null || true
  [[ -z $WORK ]] || rm -rf "$WORK"
}

main() {
  local check checks=("$@") failed=() rate=${RATE:-1gbit}
  [[ $# -gt 0 ]] || checks=(training lost-link faults slurm allreduce)
  case ${checks[*]} in
    overlap) rate=${RATE:-100mbit} HOSTS=${HOSTS:-$(nproc)} ;;
    quality) rate=${RATE:-100mbit} ;;
  esac
  HOSTS=${HOSTS:-4}
  for check in "${checks[@]}"; do
    case $check in
      training | lost-link | faults | slurm | interruptions | soak | allreduce | overlap | scaling | forecast | quality) ;;
      --help | -h) usage; exit 0 ;;
      *) usage >&2; exit 2 ;;
    esac
  done
  [[ -x $PROGRAM ]] || fail "there is no $PROGRAM; cargo build --release makes it"
  local code=0
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
  cluster up "$HOSTS" "$rate" || code=$?
  [[ $code != 77 ]] || { say "skipped: this machine cannot emulate hosts"; exit 77; }
  [[ $code == 0 ]] || exit 1
  mkdir -p runs
  WORK=$(mktemp -d runs/cluster.XXXXXX)
  cluster exec node1 test -x "$PROGRAM" || fail "the hosts do not see $PROGRAM: each has its own /tmp"

  for check in "${checks[@]}"; do
    say "== $check: $HOSTS hosts at $rate, on $(nproc) cores with a load of $(cut -d' ' -f1 /proc/loadavg)"
    # In a shell of its own, so that the first command that fails ends this check and not the others; in the
    # background, so that a signal need not wait for it.
    "check_${check//-/_}" "$rate" &
    CHECK=$!
    wait "$CHECK" || failed+=("$check")
    CHECK=
  done
  [[ ${#failed[@]} == 0 ]] || { say "failed: ${failed[*]}"; exit 1; }
  say "passed: ${checks[*]}"
}

main "$@"
