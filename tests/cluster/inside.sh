# shellcheck shell=bash disable=SC2034 # the scripts that source this use the values
# Sourced by the scripts that run inside a cluster's namespaces, with STATE and DIRECTORY set: lists the hosts, and runs commands on one.

NET=10.213.77
RUN=$STATE/run # a tmpfs of the head that the hosts see too
SLURM=$RUN/slurm

say() { printf 'cluster: %s\n' "$*" >&2; }
wrong() { say "$*"; exit 2; }

hosts() { cat "$RUN/hosts"; }

inside() { # HOST CMD...
  local host=$1
  shift
  # The configuration of Slurm's commands.
  [[ ! -f $SLURM/slurm.conf ]] || export SLURM_CONF=$SLURM/slurm.conf
  if [[ $host == head ]]; then "$@"; return; fi
  [[ -f $RUN/$host.pid ]] || wrong "no host '$host'; there are: head $(hosts | paste -sd' ')"
  nsenter --target "$(< "$RUN/$host.pid")" --net --mount --uts --ipc "$@"
}

# Changes to the caller's directory on this host and executes CMD.
# shellcheck disable=SC2016
AT_CALLERS='cd "$0" 2> /dev/null || { echo "cluster: $0 is not on $(hostname): /tmp is its own" >&2; exit 2; }; exec "$@"'
