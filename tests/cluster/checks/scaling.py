"""Prints the median rate of each way to average gradients, and how many times as fast the ternaries are.

    scaling.py DIRECTORY

Holds ours-JOB-WAY-ROUND.json of `ternflock bench scaling`, ours-JOB-all-ROUND.json with every tensor ternary, and
torch-JOB-HOOK-ROUND.json of tests/peers/pytorch_step.py. Ratios are of the same round.
"""

import glob
import json
import os
import statistics
import sys

JOBS = ["convnet", "lstm"]


def rates(directory, job):
    """By way, its rate in each round."""
    found = {}
    for path in sorted(glob.glob(f"{directory}/ours-{job}-*.json")):
        suffix = ", every tensor" if "-all-" in os.path.basename(path) else ""
        with open(path) as file:
            (point,) = json.load(file)["points"]
        for way in point["ways"]:
            found.setdefault(way["way"] + suffix, []).append(way["rate"])
    for path in sorted(glob.glob(f"{directory}/torch-{job}-*.json")):
        hook = os.path.basename(path).split("-")[2]
        with open(path) as file:
            found.setdefault(f"PyTorch, gloo, hook {hook}", []).append(json.load(file)["samples_per_s"])
    return found


def main(directory):
    for job in JOBS:
        found = rates(directory, job)
        ternary = found["ring_ternary"]
        print(f"{job}: samples or tokens a second, {len(ternary)} rounds")
        for way, values in found.items():
            ratios = [mine / other for mine, other in zip(ternary, values)]
            print(f"  {way:28} {statistics.median(values):9,.0f}   ring_ternary is {statistics.median(ratios):5.2f} times as fast "
                  f"({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
