"""Compares forecast and measured seconds of a step.

    forecast.py DIRECTORY

Holds forecast-JOB-RATE-HOSTS-ROUND.json of `ternflock forecast` and measured-JOB-RATE-HOSTS-ROUND.json of `ternflock bench scaling`.
Exit code 1 if a forecast with the measured link is off by more than 15 %.
"""

import glob
import json
import os
import statistics
import sys

WITHIN = 0.15


def steps(point):
    return {way["way"]: way["step_s"] for way in point["ways"]}


def main(directory):
    found = {}
    for path in sorted(glob.glob(f"{directory}/forecast-*.json")):
        with open(path) as file:
            networks = json.load(file)["networks"]
        with open(path.replace("forecast-", "measured-")) as file:
            (measured,) = json.load(file)["points"]
        job, rate, hosts = os.path.basename(path).split("-")[1:4]
        for way, seconds in steps(measured).items():
            entry = found.setdefault((job, rate, int(hosts), way), ([], [], []))
            entry[0].append(seconds)
            for values, network in zip(entry[1:], networks):
                (point,) = network["scaling"]["points"]
                values.append(steps(point)[way])
    if not found:
        sys.exit("nothing was measured")
    worst = [0.0, 0.0]
    for (job, rate, hosts, way), lists in found.items():
        measured, by_measured_link, by_rate = map(statistics.median, lists)
        off = [forecast / measured - 1 for forecast in (by_measured_link, by_rate)]
        worst = [max(so_far, abs(value)) for so_far, value in zip(worst, off)]
        print(f"{job:8} {rate:8} {hosts} hosts  {way:16} {1e3 * measured:8.1f} ms, forecast {1e3 * by_measured_link:8.1f} ms ({100 * off[0]:+5.1f} %), "
              f"by the link's rate {1e3 * by_rate:8.1f} ms ({100 * off[1]:+5.1f} %)")
    print(f"at most {100 * worst[0]:.1f} % off with the measured link, {100 * worst[1]:.1f} % by its rate")
    if worst[0] > WITHIN:
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
