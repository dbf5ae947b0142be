"""Prints what all-reduces took over several hosts, and judges it.

    allreduce.py ALLREDUCE.json CODEC.json HOSTS RATE

Reads the output of `ternflock bench allreduce --json` and of `ternflock bench codec --json`. Exit code 1 if a result was
wrong, if bytes are not those of the formula, or, on 4 hosts at 1gbit with 10 M elements, if a speed that
docs/results.md promises is missed.
"""

import json
import sys

LIBRARY = "mpi_allreduce_f32"
RING = "ring_f32"
# What is promised of 10 M elements on 4 hosts at 1 Gbit/s.
PROMISED = {"hosts": 4, "rate": "1gbit", "elements": 10_000_000}
TERNARY_FASTER = 12.0  # times the library's float32 all-reduce
OVER_WIRE_AND_CODEC = 1.25  # times what wire and codec take one after the other
RING_FASTER = 1.0  # times the library's float32 all-reduce
BYTES_WITHIN = 0.01  # of the formula, from 1 M elements on
LARGE = 1_000_000


def bits_per_second(rate):
    """Of a rate as tc writes it, such as 100mbit; None where links are not shaped."""
    return None if rate == "none" else float(rate[:-4]) * {"k": 1e3, "m": 1e6, "g": 1e9}[rate[-4]]


def codec_seconds(codec, elements, hosts):
    """Encode, decode and (P - 1)/P additions of planes, on a core of one's own."""
    of_all = codec["encode_s"] + codec["decode_s"] + (hosts - 1) / hosts * codec["plane_add_s"]
    return of_all * elements / codec["elements"]


def check_case(case):
    """What is wrong with a case, whatever its speed."""
    what = f"{case['algorithm']} of {case['elements']:,} elements"
    if case["verified"] is not True:
        yield f"{what}: the result is wrong"
    sent, formula = case["bytes_sent_per_rank"], case["formula_bytes_per_rank"]
    if formula and case["elements"] >= LARGE and abs(sent - formula) > BYTES_WITHIN * formula:
        yield f"{what}: {sent:,} bytes sent, the formula says {formula:,}"


def row(case, library, floor):
    """A line of the table. Times in ms."""
    formula = case["formula_bytes_per_rank"]
    return [
        case["algorithm"],
        f"{case['elements']:,}",
        *(f"{1e3 * case[key]:.1f}" for key in ("min_s", "p50_s", "p99_s")),
        f"{case['bytes_sent_per_rank']:,}" if case["bytes_sent_per_rank"] else "-",
        f"{formula:,}" if formula else "-",
        f"{library / case['p50_s']:.2f}" if library else "-",
        f"{case['p50_s'] / floor:.2f}" if floor else "-",
    ]


def print_table(rows):
    header = ["algorithm", "elements", "min ms", "p50 ms", "p99 ms", "bytes sent", "formula", "speed-up", "x floor"]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    for line in [header, *rows]:
        print("  ".join(text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths))))
    print("speed-up: over the library's float32 all-reduce of as many elements, of medians")
    print("floor: bytes sent / line rate, for ternaries with the codec's time on a core of its own added")


def judge(figures):
    """Prints each promised figure and yields those that are missed. `figures`: name, value, bound, whether a minimum."""
    for name, value, bound, at_least in figures:
        kept = value >= bound if at_least else value <= bound
        limit = f"at {'least' if at_least else 'most'} {bound}"
        print(f"{'ok    ' if kept else 'MISSED'}  {name}: {value:.2f} ({limit})")
        if not kept:
            yield f"{name}: {value:.2f}, promised {limit}"


def main(allreduce_path, codec_path, hosts, rate):
    with open(allreduce_path) as file:
        allreduce = json.load(file)
    with open(codec_path) as file:
        codec = json.load(file)
    hosts, line = int(hosts), bits_per_second(rate)
    problems = [p for case in allreduce["cases"] for p in check_case(case)]
    if allreduce["hosts"] != hosts:
        problems.append(f"ran on {allreduce['hosts']} hosts, not {hosts}")

    rows, promised = [], {}
    library = {c["elements"]: c["p50_s"] for c in allreduce["cases"] if c["algorithm"] == LIBRARY}
    for case in allreduce["cases"]:
        name, elements = case["algorithm"], case["elements"]
        floor = None
        if line and case["bytes_sent_per_rank"]:
            floor = 8 * case["bytes_sent_per_rank"] / line
            floor += codec_seconds(codec, elements, hosts) if name.endswith("_ternary") else 0
        rows.append(row(case, library.get(elements), floor))
        if elements == PROMISED["elements"]:
            promised[name] = (library.get(elements, 0) / case["p50_s"], floor and case["p50_s"] / floor)
    print_table(rows)

    if (hosts, rate) == (PROMISED["hosts"], PROMISED["rate"]) and promised:
        ternaries = [name for name in promised if name.endswith("_ternary")]
        missing = {LIBRARY, RING} - set(promised)
        if missing or not ternaries:
            problems.append(f"not measured: {', '.join(sorted(missing)) or 'a ternary all-reduce'}")
        else:
            best = max(ternaries, key=lambda name: promised[name][0])
            problems += judge([
                (f"{best} over {LIBRARY}", promised[best][0], TERNARY_FASTER, True),
                (f"{best} over wire and codec", promised[best][1], OVER_WIRE_AND_CODEC, False),
                (f"{RING} over {LIBRARY}", promised[RING][0], RING_FASTER, True),
            ])
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if problems or not allreduce["cases"] else 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
