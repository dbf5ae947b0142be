# shellcheck shell=bash
# What `ternflock forecast` reports for a ConvNet and an LSTM against what `ternflock bench scaling` measures, on 2, 4 and 8 hosts and links of 100 Mbit/s,
# 1 Gbit/s and 10 Gbit/s, both in turn ROUNDS times; forecast.py compares the medians. Wants HOSTS=8. Nothing overlaps: what the
# exchange hides behind compute here is a question of how many hosts share a core. A measurement.

check_forecast() {
  local rounds=${ROUNDS:-2} out=${OUT:-$WORK} rate hosts job round
  # shellcheck disable=SC2153 # run.sh sets it
  ((HOSTS >= 8)) || fail "needs HOSTS=8"
  mkdir -p "$out"
  rm -f "$out"/forecast-* "$out"/measured-*
  for rate in ${RATES:-100mbit 1gbit 10gbit}; do
    cluster rate "$rate"
    for ((round = 1; round <= rounds; round++)); do
      for hosts in ${COUNTS:-2 4 8}; do
        for job in ${JOBS:-convnet lstm}; do
          both forecast "$job" "$hosts" "$out/forecast-$job-$rate-$hosts-$round.json" --nodes "$hosts" --steps 12 \
            --link measured --link "$rate,50us"
          both "bench scaling" "$job" "$hosts" "$out/measured-$job-$rate-$hosts-$round.json" --steps 4 --rounds 3 \
            --set train.epochs=100
        done
      done
    done
  done
  python3 "$HERE/checks/forecast.py" "$out"
}

both() { # COMMAND JOB HOSTS FILE [WORDS...]
  # shellcheck disable=SC2086
  cluster mpirun "$3" "$PROGRAM" $1 "$HERE/$2.toml" --weak --json --set exchange.overlap=never \
    --ways ring_f32,ring_ternary,direct_ternary,halving_ternary "${@:5}" < /dev/null > "$4"
}
