# shellcheck shell=bash
# A Slurm for the hosts, sourced by hosts.sh: munge, slurmctld on the head, a slurmd on each host. They write only to the
# cluster's tmpfs, and all of them end with the cluster.

SLURM_READY_S=30 # all nodes idle by then
CREDENTIAL_S=5   # how long a job that is requeued waits: so long a credential of the last start may still be on its way

slurm_up() {
  local tool host
  # Debian keeps daemons in directories that may not be in a user's PATH.
  PATH=$PATH:/usr/sbin
  for tool in munged slurmctld slurmd sbatch; do
    command -v $tool > /dev/null ||
      { say "no $tool here (Debian: apt-get install munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins)"; exit 77; }
  done
  [[ ! -d $SLURM ]] || wrong "Slurm is up already"
  # munged requires that nobody else can write to the directories of its socket and its key.
  install -d -m 755 "$SLURM" "$SLURM/state" "$SLURM/log" "$SLURM/munge"
  slurm_conf > "$SLURM/slurm.conf"
  export SLURM_CONF=$SLURM/slurm.conf
  (umask 077 && head -c 1024 /dev/urandom > "$SLURM/munge/key")
  daemon head munged --foreground --key-file="$SLURM/munge/key" --socket="$SLURM/munge/socket" \
    --pid-file="$SLURM/munge/pid" --log-file="$SLURM/munge/log" --seed-file="$SLURM/munge/seed"
  wait_for 5 test -S "$SLURM/munge/socket" || { cat "$SLURM/log/munged-head" >&2; exit 1; }
  daemon head slurmctld -D
  for host in $(hosts); do daemon "$host" slurmd -D -N "$host"; done
  wait_for $SLURM_READY_S all_idle || { sinfo >&2; tail -n 5 "$SLURM"/log/* >&2; exit 1; }
}

daemon() { # HOST PROGRAM ARGUMENTS...
  inside "$1" setsid "${@:2}" < /dev/null > "$SLURM/log/$2-$1" 2>&1 &
}

all_idle() {
  [[ $(sinfo --noheader --partition=main --states=idle --format=%D 2> /dev/null) == $(hosts | wc -l) ]]
}

wait_for() { # SECONDS CMD...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# A node has two cores, whatever this machine has. A job in `urgent` pre-empts one in `main`, which gets SIGTERM, a grace
# time, and is requeued.
slurm_conf() {
  cat << END
ClusterName=ternflock
SlurmctldHost=head($NET.254)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$SLURM/munge/socket,cred_expire=$CREDENTIAL_S
StateSaveLocation=$SLURM/state
SlurmdSpoolDir=$SLURM/spool-%n
SlurmctldPidFile=$SLURM/slurmctld.pid
SlurmdPidFile=$SLURM/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
SlurmdTimeout=120
KillWait=10
JobRequeue=1
MinJobAge=3600
END
  local host
  for host in $(hosts); do
    echo "NodeName=$host NodeAddr=$NET.${host#node} Sockets=1 CoresPerSocket=2 ThreadsPerCore=1 State=UNKNOWN"
  done
  echo "PartitionName=main Nodes=ALL Default=YES PriorityTier=1 GraceTime=30"
  echo "PartitionName=urgent Nodes=ALL PriorityTier=10"
}
