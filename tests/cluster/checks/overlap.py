"""Prints the median time of a training step, by phase, with and without overlap, what share is hidden, and their ratio.

    overlap.py FILE...

Files are metrics.jsonl of runs, named overlap-true-ROUND.jsonl and overlap-false-ROUND.jsonl. The first log interval of a
run is left out. Whether the ratio is the one wanted is said and not judged: it depends on the cores that computing and
exchanging share.
"""

import json
import os
import statistics
import sys

PHASES = ["compute", "encode", "wait", "exchange", "decode", "update", "hidden"]

CAN_HIDE = ["encode", "wait", "exchange", "decode"]
WANTED = 1.3  # times as fast with overlap


def log_intervals(path):
    """For each log interval but the first: ms of a step, then ms of its phases."""
    with open(path) as file:
        events = [json.loads(line) for line in file]
    trained = [event for event in events if event["event"] == "train"]
    # All log intervals have the same number of steps, so the first gives the labels per step: epoch x labels per epoch /
    # step. A label belongs to a sample, or to a token of a text.
    start = next(event for event in events if event["event"] == "start")
    label = "tokens" if "tokens" in start else "samples"
    batch = round(trained[0]["epoch"] * start[label] / trained[0]["step"])
    return [
        [1e3 * batch / event[f"{label}_per_s"], *(1e3 * event["phases"][phase] for phase in PHASES)]
        for event in trained[1:]
    ]


def main(paths):
    medians, rounds = {}, {}
    print(f"{'overlap':8} {'step ms':>8} " + " ".join(f"{phase:>9}" for phase in PHASES))
    for overlap in ("true", "false"):
        mine = sorted(path for path in paths if os.path.basename(path).startswith(f"overlap-{overlap}-"))
        measured = [log_intervals(path) for path in mine]
        rounds[overlap] = [statistics.median(interval[0] for interval in run) for run in measured]
        columns = zip(*(interval for run in measured for interval in run))
        medians[overlap] = [statistics.median(column) for column in columns]
        step, *phases = medians[overlap]
        print(f"{overlap:8} {step:8.2f} " + " ".join(f"{value:9.2f}" for value in phases))
    ratios = [without / with_it for with_it, without in zip(rounds["true"], rounds["false"])]
    for overlap, (_, *phases) in medians.items():
        by_name = dict(zip(PHASES, phases))
        exchange = sum(by_name[phase] for phase in CAN_HIDE)
        share = by_name["hidden"] / exchange if exchange else 0
        print(f"overlap {overlap}: {100 * share:.0f} % of {' + '.join(CAN_HIDE)} ({exchange:.2f} ms) hidden")
    ratio = medians["false"][0] / medians["true"][0]
    print(f"{'kept  ' if ratio >= WANTED else 'MISSED'}  without / with overlap: {ratio:.3f} of medians (at least {WANTED}); "
          f"by round {' '.join(f'{ratio:.3f}' for ratio in ratios)}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
