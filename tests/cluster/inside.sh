# shellcheck shell=bash disable=SC2034 # what sources this uses the values
# Sourced by what runs inside a cluster's namespaces, with STATE and DIRECTORY set: who the hosts are, and how to run on one.

NET=10.213.77
RUN=$STATE/run # a tmpfs of the head that the hosts see too
SLURM=$RUN/slurm

say() { printf 'cluster: %s\n' "$*" >&2; }
wrong() { say "$*"; exit 2; }

hosts() { cat "$RUN/hosts"; }

inside() { # HOST CMD...
  local host=$1
  shift
  # Where Slurm's commands find theirs.
  [[ ! -f $SLURM/slurm.conf ]] || export SLURM_CONF=$SLURM/slurm.conf
  if [[ $host == head ]]; then "$@"; return; fi
  [[ -f $RUN/$host.pid ]] || wrong "no host '$host'; there are: head $(hosts | paste -sd' ')"
  nsenter --target "$(< "$RUN/$host.pid")" --net --mount --uts --ipc "$@"
}

# Goes to where the caller stands, on this host, and becomes CMD.
# shellcheck disable=SC2016
AT_CALLERS='cd "$0" 2> /dev/null || { echo "cluster: $0 is not on $(hostname): /tmp is its own" >&2; exit 2; }; exec "$@"'
