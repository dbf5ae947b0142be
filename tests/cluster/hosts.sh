#!/usr/bin/env bash
# The part of `cluster` that runs inside its namespaces: hosts.sh STATE DIRECTORY COMMAND ARGUMENTS...
#
# `live` is the head's first process. It creates the switch and the hosts and keeps them until it ends. The
# other commands run next to it, in DIRECTORY.
set -euo pipefail

STATE=$1
DIRECTORY=$2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(cd "$HERE/../.." && pwd)
# shellcheck source=inside.sh
source "$HERE/inside.sh"

# A separate /tmp for this host, in which only the checkout of the machine's /tmp is visible.
own_tmp() {
  mount -t tmpfs tmpfs "$RUN/tmp"
  if [[ $CHECKOUT/ == /tmp/* ]]; then
    mkdir -p "$RUN/tmp/${CHECKOUT#/tmp/}"
    mount --bind "$CHECKOUT" "$RUN/tmp/${CHECKOUT#/tmp/}"
  fi
  mount --move "$RUN/tmp" /tmp
  chmod 1777 /tmp
  mount -t tmpfs tmpfs /dev/shm
}

check_rate() { # RATE
  [[ $# == 1 && $1 =~ ^(none|[1-9][0-9]{0,5}[kmg]bit)$ ]] || wrong "RATE: 1gbit, 100mbit, 500kbit, ... or none, not '$*'"
}

# The burst size in bytes: a millisecond of the rate, so that larger messages are sent at the rate. At least 16 kB,
# which is more than a packet.
burst() { # RATE
  [[ $1 != none ]] || return 0
  local number=${1%?bit} unit=1
  case $1 in *mbit) unit=1000 ;; *gbit) unit=1000000 ;; esac # of kbit, so bits a millisecond
  local bytes=$((number * unit / 8))
  echo $((bytes > 16384 ? bytes : 16384))
}

shape() { # HOST RATE
  local port=port${1#node} tbf=(root tbf rate "$2" burst "$(burst "$2")" latency 50ms)
  tc qdisc del dev "$port" root 2> /dev/null || true
  inside "$1" tc qdisc del dev eth0 root 2> /dev/null || true
  [[ $2 != none ]] || return 0
  tc qdisc add dev "$port" "${tbf[@]}"
  inside "$1" tc qdisc add dev eth0 "${tbf[@]}"
}

live() { # N RATE
  local n=$1 i host pid
  mkdir "$RUN"; mount -t tmpfs tmpfs "$RUN"; mkdir "$RUN/tmp"
  hostname head
  { echo "127.0.0.1 localhost"; echo "$NET.254 head"
    for ((i = 1; i <= n; i++)); do echo "$NET.$i node$i"; done; } > "$RUN/etc-hosts"
  mount --bind "$RUN/etc-hosts" /etc/hosts
  echo 1 2> /dev/null > /proc/sys/net/ipv6/conf/default/disable_ipv6 || true
  # TCP gives up on a silent host after 13 seconds instead of 15 minutes: mpirun's own waits have no deadline.
  echo 5 > /proc/sys/net/ipv4/tcp_retries2
  ip link set lo up
  ip link add eth0 type bridge
  ip addr add "$NET.254/24" dev eth0
  ip link set eth0 up
  for ((i = 1; i <= n; i++)); do
    host=node$i
    unshare --net --mount --uts --ipc bash "$0" "$STATE" / host "$host" &
    pid=$!
    until [[ -f $RUN/$host.ready ]]; do kill -0 "$pid" || exit 1; sleep 0.01; done
    echo "$pid" > "$RUN/$host.pid"
    echo "$host" >> "$RUN/hosts"
    ip link add "port$i" type veth peer name eth0 netns "$pid"
    ip link set "port$i" master eth0 up
    inside "$host" ip addr add "$NET.$i/24" dev eth0
    inside "$host" ip link set eth0 up
    shape "$host" "$2"
  done
  own_tmp
  # Open MPI and MPICH call this instead of ssh: [OPTIONS] HOST CMD...
  cat > "$RUN/rsh" << END
#!/bin/sh
while case \$1 in -*) true ;; *) false ;; esac; do shift; done
host=\$1; shift
exec nsenter --target "\$(cat '$RUN'/"\$host".pid)" --net --mount --uts --ipc /bin/sh -c "\$*"
END
  chmod +x "$RUN/rsh"
  touch "$STATE/ready"
  # Not an exec: this shell also reaps processes whose parents have ended.
  sleep infinity & wait
}

host() { # HOST: the first process of a host
  hostname "$1"
  own_tmp
  ip link set lo up
  touch "$RUN/$1.ready"
  exec sleep infinity
}

mpi_run() { # NP CMD...
  [[ $# -ge 2 && $1 =~ ^[1-9][0-9]*$ ]] || wrong "mpirun NP CMD..."
  local np=$1 n mpirun=${MPIRUN:-mpirun} version
  shift
  n=$(hosts | wc -l)
  version=$("$mpirun" --version) || wrong "cannot start $mpirun"
  cd "$DIRECTORY" 2> /dev/null || wrong "$DIRECTORY is not on the hosts: /tmp is their own"
  case $version in
    *"Open MPI"* | *PRRTE*)
      export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
      # Version 4, then 5. TCP between hosts: other transports would find the shared memory of the one machine.
      export OMPI_MCA_plm_rsh_agent=$RUN/rsh PRTE_MCA_plm_ssh_agent=$RUN/rsh
      export OMPI_MCA_oob_tcp_if_include=$NET.0/24 PRTE_MCA_oob_tcp_if_include=$NET.0/24
      export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,tcp,vader OMPI_MCA_btl_tcp_if_include=$NET.0/24
      exec "$mpirun" --host "$(hosts | sed "s/\$/:$(((np + n - 1) / n))/" | paste -sd,)" --map-by node --bind-to none \
        -n "$np" "$@" ;;
    *HYDRA*)
      exec "$mpirun" -launcher rsh -launcher-exec "$RUN/rsh" -iface eth0 -hosts "$(hosts | paste -sd,)" -ppn 1 \
        -n "$np" "$@" ;;
    *) wrong "$mpirun is neither Open MPI's nor MPICH's" ;;
  esac
}

# The bytes that a port of the switch has received are those that its host has sent. A port counts the segments that the
# kernel hands over, up to 64 kB with one header; the host's shaper counts a header for each packet of 1500 bytes, as a wire would.
count_bytes() {
  local host wire
  for host in $(hosts); do
    wire=$(inside "$host" tc -s qdisc show dev eth0 | awk '$2 == "tbf" { shaped = 1 } shaped && $1 == "Sent" { print $2; exit }')
    awk -v host="$host" -v port="port${host#node}:" -v wire="${wire:-unknown}" \
      '$1 == port { print host, "sent", $2, "received", $10, "wire", wire }' /proc/net/dev
  done
}

shift 2
command=$1
shift
case $command in
  live | host) "$command" "$@" ;;
  check-rate) check_rate "$@" ;;
  mpirun) mpi_run "$@" ;;
  exec)
    [[ $# -ge 2 ]] || wrong "exec HOST CMD..."
    inside "$1" sh -c "$AT_CALLERS" "$DIRECTORY" "${@:2}" ;;
  rate)
    check_rate "$@"
    for each in $(hosts); do shape "$each" "$1"; done ;;
  bytes) count_bytes ;;
  slurm) source "$HERE/slurm.sh"; slurm_up ;;
esac
