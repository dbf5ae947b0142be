"""Prints the median rate of each way to average gradients, its bytes, and how many times as fast it is as PyTorch's PowerSGD.

    scaling.py DIRECTORY

Holds ours=JOB=default=WAY=ROUND.json of `ternflock bench scaling`, ours=JOB=every=WAY=ROUND.json with every tensor
compressed, and torch=JOB=HOOK=ROUND.json of tests/peers/pytorch_step.py. Ratios are of the same round.
"""

import glob
import json
import os
import statistics
import sys

REFERENCES = ["PyTorch, PowerSGD", "PyTorch", "ring_f32"]
HOOKS = {"none": "PyTorch", "fp16": "PyTorch, fp16", "powersgd": "PyTorch, PowerSGD"}


def rates(directory):
    """By job and way, its rate and its bytes per rank in each round."""
    found = {}
    for path in sorted(glob.glob(f"{directory}/ours=*.json")):
        _, job, tensors, way, _ = os.path.basename(path).split("=")
        with open(path) as file:
            (point,) = json.load(file)["points"]
        (measured,) = point["ways"]
        name = way + (", every tensor" if tensors == "every" else "")
        sent = measured["bytes_sent"]
        found.setdefault(job, {}).setdefault(name, []).append((measured["rate"], statistics.mean(sent)))
    for path in sorted(glob.glob(f"{directory}/torch=*.json")):
        _, job, hook, _ = os.path.basename(path).split("=")
        with open(path) as file:
            found[job].setdefault(HOOKS[hook], []).append((json.load(file)["samples_per_s"], None))
    return found


def main(directory):
    for job, ways in rates(directory).items():
        reference = next(name for name in REFERENCES if name in ways)
        print(f"{job}: samples or tokens per second, {len(ways[reference])} rounds; ratios to {reference}")
        for way, rounds in ways.items():
            ratios = [mine / other for (mine, _), (other, _) in zip(rounds, ways[reference])]
            rate = statistics.median(rate for rate, _ in rounds)
            sent = rounds[0][1]
            sent = f"{sent / 1e6:7.3f} MB" if sent is not None else " " * 10
            print(f"  {way:36} {rate:9,.0f} {sent}   {statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
