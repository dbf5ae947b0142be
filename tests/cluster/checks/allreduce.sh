# shellcheck shell=bash
# Runs `ternflock bench allreduce` over the hosts; allreduce.py judges what it says.

check_allreduce() { # RATE
  local out=${OUT:-$WORK}
  mkdir -p "$out"
  cluster exec node1 "$PROGRAM" bench codec --json > "$out/codec.json" || fail "ternflock bench codec"
  cluster mpirun "$HOSTS" "$PROGRAM" bench allreduce --elements "${ELEMENTS:-1e6,1e7}" --algorithms all --json \
    < /dev/null > "$out/allreduce.json" || fail "ternflock bench allreduce"
  python3 "$HERE/checks/allreduce.py" "$out/allreduce.json" "$out/codec.json" "$HOSTS" "$1"
}
