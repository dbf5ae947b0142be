# shellcheck shell=bash
# Steps of a ConvNet and of an LSTM over the hosts, one rank each: ours with float32 by our ring and by MPI_Allreduce, with
# ternaries, plain and coded, and with PowerSGD of rank 1; and, where PYTHON names one with torch, DistributedDataParallel over
# gloo without a hook, with fp16 and with PowerSGD of rank 1. All in turn, ROUNDS times; scaling.py makes the medians. A
# measurement. JOBS names some of: convnet lstm lstm-medium lenet.

check_scaling() {
  local rounds=${ROUNDS:-3} out=${OUT:-$WORK} round job way hook
  mkdir -p "$out"
  rm -f "$out"/ours=* "$out"/torch=*
  for ((round = 1; round <= rounds; round++)); do
    for job in ${JOBS:-convnet lstm}; do
      # Each by itself, as each of PyTorch's is.
      for way in ring_f32 mpi_allreduce_f32 ring_ternary ring_ternary_coded; do
        ours "$job" "$out/ours=$job=default=$way=$round.json" $way
      done
      # All tensors compressed, the logits' too.
      for way in ring_ternary ring_ternary_coded powersgd; do
        ours "$job" "$out/ours=$job=every=$way=$round.json" $way --set 'exchange.keep_float=[]' --set exchange.powersgd_rank=1
      done
      [[ -n ${PYTHON:-} ]] || continue
      for hook in none fp16 powersgd; do pytorch "$job" "$hook" "$out/torch=$job=$hook=$round.json"; done
    done
  done
  python3 "$HERE/checks/scaling.py" "$out"
}

ours() { # JOB FILE WAYS [WORDS...]
  cluster mpirun "$HOSTS" "$PROGRAM" bench scaling "$HERE/$1.toml" --weak --json --ways "$3" --steps 10 --rounds 3 \
    --set train.epochs=100 "${@:4}" < /dev/null > "$2"
}

pytorch() { # JOB HOOK FILE
  local model=$1
  [[ $model != lstm ]] || model=lstm-small
  cluster mpirun "$HOSTS" env MASTER_ADDR=node1 MASTER_PORT=29500 GLOO_SOCKET_IFNAME=eth0 OMP_NUM_THREADS=1 \
    ${TCMALLOC:+LD_PRELOAD="$TCMALLOC"} "$PYTHON" tests/peers/pytorch_step.py --model "$model" --hook "$2" --seconds 4 \
    < /dev/null > "$3"
}
