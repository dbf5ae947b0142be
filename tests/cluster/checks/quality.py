"""Prints, for each way to exchange gradients, the time of a step and the hours until a validation perplexity is reached.

    quality.py DIRECTORY [PLOT.svg]

DIRECTORY holds runs of `ternflock train`: WAY-step-ROUND over the hosts, which give the time and the bytes of a step, and
WAY-seed-SEED of the complete training, which give perplexities by step. Hours are the number of steps times the time of a
step, without evaluations and checkpoints. If a seed does not reach a perplexity, the result is `never`. The perplexities to
reach are those of the float32 runs at four evenly spaced steps, plus 1 %. With PLOT.svg, if matplotlib is installed, it also
draws the means over the seeds against hours.
"""

import glob
import json
import os
import re
import statistics
import sys

BASELINE = "float32"
TARGETS = 4
SLACK = 1.01


def events(run):
    with open(f"{run}/metrics.jsonl") as file:
        return [json.loads(line) for line in file]


def step_of(run):
    """The seconds of one step, the median over all log intervals but the first, and the bytes that rank 0 sends in it."""
    found = events(run)
    start = next(event for event in found if event["event"] == "start")
    trained = [event for event in found if event["event"] == "train"]
    labels = trained[0]["epoch"] * start["tokens"] / trained[0]["step"]
    seconds = statistics.median(labels / event["tokens_per_s"] for event in trained[1:])
    return seconds, trained[-1]["bytes_sent"] / trained[-1]["step"]


def perplexities(run):
    """Validation perplexity by step, and the test perplexity at the end."""
    found = events(run)
    curve = {event["step"]: float(event["perplexity"]) for event in found if event["event"] == "evaluate"}
    test = next((float(event["perplexity"]) for event in found if event["event"] == "test"), None)
    return curve, test


def ways(directory):
    """For each way: its measured steps and its curves."""
    found = {}
    for run in sorted(glob.glob(f"{directory}/*-*-*/")):
        match = re.fullmatch(r"(.+)-(step|seed)-(\d+)", os.path.basename(run.rstrip("/")))
        if match:
            name, kind, _ = match.groups()
            way = found.setdefault(name, {"step": [], "seed": []})
            way[kind].append(step_of(run) if kind == "step" else perplexities(run))
    return {name: way for name, way in found.items() if way["step"] and way["seed"]}


def first_step(curve, target):
    return min((step for step, perplexity in curve.items() if perplexity <= target), default=None)


def spread(values, form):
    if not values or None in values:
        return "never"
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def targets(found):
    curves = [curve for curve, _ in found[BASELINE]["seed"]]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    chosen = [steps[len(steps) * number // TARGETS - 1] for number in range(1, TARGETS + 1)]
    return [round(SLACK * statistics.mean(curve[step] for curve in curves), 1) for step in dict.fromkeys(chosen)]


def table(found):
    goals = targets(found)
    print("| exchange | ms per step | MB per rank and step | " + " | ".join(f"hours to {goal}" for goal in goals)
          + " | last validation perplexity | test perplexity |")
    print("|---|---|---|" + "---|" * (len(goals) + 2))
    for name, way in found.items():
        seconds = statistics.median(seconds for seconds, _ in way["step"])
        sent = statistics.median(sent for _, sent in way["step"])
        cells = []
        for goal in goals:
            steps = [first_step(curve, goal) for curve, _ in way["seed"]]
            cells.append(spread([step and step * seconds / 3600 for step in steps], ".2f"))
        last = spread([curve[max(curve)] for curve, _ in way["seed"]], ".1f")
        test = spread([test for _, test in way["seed"]], ".1f")
        print(f"| {name} | {1e3 * seconds:.0f} | {sent / 1e6:.2f} | " + " | ".join(cells) + f" | {last} | {test} |")


def plot(found, path):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, way in found.items():
        seconds = statistics.median(seconds for seconds, _ in way["step"])
        curves = [curve for curve, _ in way["seed"]]
        steps = sorted(set.intersection(*(set(curve) for curve in curves)))
        means = [statistics.mean(curve[step] for curve in curves) for step in steps]
        axes.plot([step * seconds / 3600 for step in steps], means, label=name)
    axes.set(xscale="log", yscale="log", xlabel="hours of training steps", ylabel="validation perplexity")
    axes.legend()
    axes.grid(True, which="both", alpha=0.3)
    figure.savefig(path)


def main(directory, path=None):
    found = ways(directory)
    if BASELINE not in found:
        sys.exit(f"quality.py: {directory} has no complete runs of {BASELINE}")
    table(found)
    if path:
        plot(found, path)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
