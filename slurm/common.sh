# shellcheck shell=bash
# Shared by the batch scripts: reads the site's values, checks that everything they name exists, and starts ranks. The
# scripts source this file from the top of the checkout.

STARTS=4   # attempts while a node cannot be reached: a link that is down now may be up again in a minute
PAUSE_S=20 # between two attempts

fail() { # CODE WORDS...
  printf '%s: %s\n' "${SLURM_JOB_NAME:-slurm}" "${*:2}" >&2
  exit "$1"
}

again_in_a_while() { # WORDS START
  printf '%s: %s; start %s of %s in %s s\n' "${SLURM_JOB_NAME:-slurm}" "$1" "$2" $STARTS $PAUSE_S >&2
  # The shell runs a trap while it waits, but not while it sleeps.
  sleep $PAUSE_S &
  wait $! || true
}

load_site() {
  local site=${TERNFLOCK_SITE:-slurm/site.env} name
  [[ -n ${TERNFLOCK_SITE:-} || -f $site ]] || site=slurm/site.env.example
  [[ -f $site ]] || fail 2 "TERNFLOCK_SITE: there is no $PWD/$site"
  # shellcheck source=site.env.example
  source "$site"
  for name in SITE_MODULES SITE_LAUNCHER SITE_INTERFACE SITE_PROGRAM SITE_DATA; do
    [[ -v $name ]] || fail 2 "$site has no $name; slurm/site.env.example describes it"
  done
  [[ -n $SITE_LAUNCHER ]] || fail 2 "$site: SITE_LAUNCHER is empty; 'srun --mpi=pmix' or 'mpirun'"
  if [[ -n $SITE_MODULES ]]; then
    # shellcheck disable=SC2086
    module load $SITE_MODULES || fail 2 "$site: SITE_MODULES='$SITE_MODULES' cannot be loaded"
  fi
  [[ -x $SITE_PROGRAM ]] || fail 2 "$site: SITE_PROGRAM: there is no $PWD/$SITE_PROGRAM on $(hostname); cargo build --release makes it"
  [[ -z $SITE_DATA ]] || export TERNFLOCK_DATA=$SITE_DATA
  check_launcher "$site"
  [[ -z $SITE_INTERFACE ]] || use_interface "$site"
}

check_launcher() { # SITE
  local program=${SITE_LAUNCHER%% *} other=mpirun type spoken
  [[ $program != mpirun ]] || other="srun --mpi=pmix"
  command -v "$program" > /dev/null ||
    fail 2 "$1: SITE_LAUNCHER: there is no $program here; is a module missing from SITE_MODULES, or is it '$other'?"
  if [[ $SITE_LAUNCHER =~ --mpi=([a-z0-9_]+) ]]; then
    type=${BASH_REMATCH[1]}
    spoken=" $(srun --mpi=list 2>&1 | sed 's/.*://;/ are\.\.\.$/d' | tr '\n\t,' ' ') "
    [[ $spoken == *" $type "* ]] || fail 2 "$1: SITE_LAUNCHER: this Slurm does not speak $type; it does$spoken; or use 'mpirun'"
  fi
}

# Use only this interface for connections; every node must have it.
use_interface() { # SITE
  local without start
  for ((start = 2; ; start++)); do
    # shellcheck disable=SC2016
    without=$(srun --mpi=none --ntasks-per-node=1 --ntasks="$SLURM_JOB_NUM_NODES" \
      sh -c 'grep -q "^ *$0:" /proc/net/dev || hostname' "$SITE_INTERFACE" | sort | paste -sd ' ') && break
    ((start <= STARTS)) || fail 7 "srun cannot start anything on all of $SLURM_JOB_NODELIST"
    again_in_a_while "srun does not reach all nodes" $start
  done
  [[ -z $without ]] || fail 2 "$1: SITE_INTERFACE: there is no interface $SITE_INTERFACE on $without; \`ip link\` there lists the interfaces"
  export OMPI_MCA_btl_tcp_if_include=$SITE_INTERFACE OMPI_MCA_oob_tcp_if_include=$SITE_INTERFACE
  export PRTE_MCA_oob_tcp_if_include=$SITE_INTERFACE HYDRA_IFACE=$SITE_INTERFACE FI_TCP_IFACE=$SITE_INTERFACE
}

# Sets LAUNCH to the command that starts one rank per task of the allocation, each with its cores.
set_launch() {
  local tasks=${SLURM_NTASKS:-${SLURM_JOB_NUM_NODES:-1}} cores=${SLURM_CPUS_PER_TASK:-}
  read -ra LAUNCH <<< "$SITE_LAUNCHER"
  LAUNCH+=(-n "$tasks")
  # srun must be told to end the other ranks when one has failed, and since Slurm 22.05 it no longer takes
  # --cpus-per-task from sbatch.
  [[ ${LAUNCH[0]} != srun ]] || LAUNCH+=(--kill-on-bad-exit=1 ${cores:+--cpus-per-task="$cores"})
  if [[ $SITE_LAUNCHER == mpirun && -n $cores ]]; then
    case $(mpirun --version 2>&1) in
      *HYDRA*) LAUNCH+=(-bind-to "core:$cores") ;;
      *) LAUNCH+=(--map-by "slot:PE=$cores") ;;
    esac
  fi
}

# The end of the allocation, for `ternflock train`: newer versions of Slurm set it themselves.
export_end() {
  local end
  [[ -z ${SLURM_JOB_END_TIME:-} ]] || return 0
  unset SLURM_JOB_END_TIME
  end=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e) && end=$(date --date="$end" +%s 2> /dev/null) || return 0
  export SLURM_JOB_END_TIME=$end
}
