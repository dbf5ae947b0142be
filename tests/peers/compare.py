#!/usr/bin/env python3
"""Training steps of `ternflock bench step` and of PyTorch side by side: the two take turns, ROUNDS times, and each ratio is
one of neighbours in time, so that a machine that drifts does not decide. Prints medians, and the range of the ratios.

    tests/peers/compare.py --python VENV/bin/python --models lenet,resnet-20 --threads 1,2 --rounds 5

PyTorch runs with its own allocator unless LD_PRELOAD names a faster one, which is fairer (Debian: libtcmalloc-minimal4).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
MODELS = ["lenet", "convnet-quick", "resnet-20", "lstm-small", "lstm-medium"]


def run(command, environment):
    """The last line that `command` prints, as JSON."""
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3", help="a Python that has torch")
    parser.add_argument("--program", default="target/release/ternflock")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    alone = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    print("| model | threads | samples/s | PyTorch | ratio (range) | GFLOP/s of sgemm's | peak MB | PyTorch | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for model in options.models.split(","):
        for threads in options.threads.split(","):
            ours, theirs = [], []
            for _ in range(options.rounds):
                what = ["--model", model, "--threads", threads]
                ours.append(run([options.program, "bench", "step", *what, "--json"], alone))
                script = str(HERE / "pytorch_step.py")
                theirs.append(run([options.python, script, *what], dict(os.environ, OMP_NUM_THREADS=threads)))
            middle = lambda runs, key: statistics.median(one[key] for one in runs)
            ratios = [a["samples_per_s"] / b["samples_per_s"] for a, b in zip(ours, theirs)]
            memory, theirs_memory = middle(ours, "peak_rss_mb"), middle(theirs, "peak_rss_mb")
            print(
                f"| {model} | {threads} | {middle(ours, 'samples_per_s'):,.0f} | {middle(theirs, 'samples_per_s'):,.0f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
                f"| {middle(ours, 'gflops'):.0f} of {middle(ours, 'sgemm_peak_gflops'):.0f} "
                f"| {memory:.0f} | {theirs_memory:.0f} | {memory / theirs_memory:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
