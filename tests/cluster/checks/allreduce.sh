# shellcheck shell=bash
# Runs `ternflock bench allreduce` over the hosts: one rank a host for times, two for the algorithms that know of nodes,
# and each algorithm by itself for the bytes on the links. allreduce.py judges what it says.

MORE_ROUNDS=10 # of the longer of two runs, whose difference is that of so many all-reduces
LINK_ELEMENTS=10000000

check_allreduce() { # RATE
  local out=${OUT:-$WORK} algorithm
  mkdir -p "$out"
  rm -f "$out"/links-*
  bench "$HOSTS" "$out/allreduce.json" --elements "${ELEMENTS:-1e6,1e7}" --algorithms all
  bench_as_it_comes "$out/as-it-comes.json" --elements "${ELEMENTS:-1e6,1e7}" --algorithms mpi_allreduce_f32
  bench $((2 * HOSTS)) "$out/two-a-host.json" --elements 1,1e6 --algorithms all --rounds 2
  for algorithm in $(algorithms "$out/allreduce.json"); do
    measure_links "$algorithm" "$out/links-$algorithm"
  done
  python3 "$HERE/checks/allreduce.py" "$out" "$HOSTS" "$1" $MORE_ROUNDS
}

bench() { # RANKS FILE ARGUMENTS...
  cluster mpirun "$1" "$PROGRAM" bench allreduce "${@:3}" --json < /dev/null > "$2" || fail "ternflock bench allreduce ${*:3}"
}

# The library's own all-reduce without what the program asks Open MPI to do (docs/adr/0016), which makes that faster too. What a
# user has set stays, so its defaults are.
bench_as_it_comes() { # FILE ARGUMENTS...
  local name value settings=()
  while IFS=: read -r _ _ _ _ name _ value; do
    settings+=("OMPI_MCA_$name=$value")
  done < <(ompi_info --param btl tcp --level 9 --parsable |
    grep -E ':btl_tcp_(flags|eager_limit|rndv_eager_limit|max_send_size):value:')
  cluster mpirun "$HOSTS" env "${settings[@]}" "$PROGRAM" bench allreduce "${@:2}" --json < /dev/null > "$1" ||
    fail "ternflock bench allreduce ${*:2}"
}

# The all-reduce of the MPI library counts no bytes, and the bytes of coded messages have no exact formula.
algorithms() { # FILE
  grep -o '"algorithm":"[a-z0-9_]*"' "$1" | cut -d '"' -f 4 | sort -u | grep -v '^mpi_\|_coded$'
}

# The bytes that each host has sent before, between and after two runs of which one has MORE_ROUNDS rounds more: start,
# verification and end are the same in both.
measure_links() { # ALGORITHM FILE
  local rounds
  cluster bytes > "$2-0"
  for rounds in 1 2; do
    bench "$HOSTS" "$2.json" --elements $LINK_ELEMENTS --algorithms "$1" --rounds $((1 + (rounds - 1) * MORE_ROUNDS))
    cluster bytes > "$2-$rounds"
  done
}
