"""Prints what all-reduces took over several hosts, and judges it.

    allreduce.py DIRECTORY HOSTS RATE MORE_ROUNDS

Reads what allreduce.sh left in DIRECTORY: of `ternflock bench allreduce --json` allreduce.json with one rank a host
and two-a-host.json, and as-it-comes.json of the library's own all-reduce without what the program asks Open MPI to do;
of the links, for each algorithm, links-ALGORITHM-0, -1 and -2, what `cluster bytes` said before, between and after two
runs of which the second had MORE_ROUNDS rounds more, and that one's report, links-ALGORITHM.json. Exit code 1 if a
result was wrong, if bytes are not those of the formula, or, on 4 hosts at 1gbit with 10 M elements, if a speed that
docs/results.md promises is missed.
"""

import glob
import json
import os
import sys

LIBRARY = "mpi_allreduce_f32"
RING = "ring_f32"
# What is promised of 10 M elements on 4 hosts at 1 Gbit/s.
PROMISED = {"hosts": 4, "rate": "1gbit", "elements": 10_000_000}
TERNARY_FASTER = 12.0  # times the library's float32 all-reduce as it comes
OVER_WIRE_AND_CODEC = 1.25  # times what wire and codec take one after the other
RING_FASTER = 1.0  # times the library's float32 all-reduce, with the program's settings
BYTES_WITHIN = 0.01  # of the formula, from 1 M elements on
LARGE = 1_000_000
LINK_WITHIN = 0.07  # over the formula: headers of TCP/IP and Ethernet, and acknowledgements


def bits_per_second(rate):
    """Of a rate as tc writes it, such as 100mbit; None where links are not shaped."""
    return None if rate == "none" else float(rate[:-4]) * {"k": 1e3, "m": 1e6, "g": 1e9}[rate[-4]]


def is_coded(case):
    """Whether the formula is a bound: the lengths of coded messages depend on the gradients."""
    return case["algorithm"].endswith("_coded")


def check_case(case):
    """What is wrong with a case, whatever its speed."""
    what = f"{case['algorithm']} of {case['elements']:,} elements"
    if case["verified"] is not True:
        yield f"{what}: the result is wrong"
    sent, formula = case["bytes_sent_per_rank"], case["formula_bytes_per_rank"]
    if formula and is_coded(case):
        if sent > formula:
            yield f"{what}: {sent:,} bytes sent, the formula says at most {formula:,}"
    elif formula and case["elements"] >= LARGE and abs(sent - formula) > BYTES_WITHIN * formula:
        yield f"{what}: {sent:,} bytes sent, the formula says {formula:,}"


def check_report(report, hosts, ranks):
    """What is wrong with a report, whatever its speeds."""
    if (report["hosts"], report["ranks"]) != (hosts, ranks):
        yield f"ran as {report['ranks']} ranks on {report['hosts']} hosts, not as {ranks} on {hosts}"
    if not report["cases"]:
        yield f"{ranks} ranks measured nothing"
    for case in report["cases"]:
        for problem in check_case(case):
            yield f"{ranks} ranks: {problem}"


def bytes_sent(path, shaped):
    """By host, from the output of `cluster bytes`: HOST sent N received N wire N. The last has all headers, where links
    are shaped."""
    with open(path) as file:
        lines = [line.split() for line in file]
    return {line[0]: int(line[6] if shaped else line[2]) for line in lines}


def check_links(directory, hosts, shaped, more_rounds):
    """Prints bytes on links beside the formula and yields what is wrong with them."""
    reports = sorted(glob.glob(os.path.join(directory, "links-*.json")))
    if not reports:
        yield "no bytes on links were measured"
    for path in reports:
        with open(path) as file:
            report = json.load(file)
        yield from check_report(report, hosts, hosts)
        [case] = report["cases"]
        before, between, after = (bytes_sent(f"{path.removesuffix('.json')}-{i}", shaped) for i in range(3))
        # The shorter run is taken from the longer. The host that sends most, as in the formula.
        link = max(after[host] - 2 * between[host] + before[host] for host in after) / more_rounds
        formula, counted = case["formula_bytes_per_rank"], case["bytes_sent_per_rank"]
        kept = 1 <= link / formula <= 1 + LINK_WITHIN
        what = f"{case['algorithm']} of {case['elements']:,} elements"
        print(f"{'ok    ' if kept else 'MISSED'}  {what}: a host's link carried {link:,.0f} bytes, {link / formula:.4f} x "
              f"the formula (at most {1 + LINK_WITHIN}); counted payload {counted / formula:.4f} x (within {BYTES_WITHIN})")
        if not kept:
            yield f"{what}: {link:,.0f} bytes on the link, the formula says {formula:,}"


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
        f"{1e3 * case['codec_s']:.1f}" if case["codec_s"] is not None else "-",
        f"{1e3 * floor:.1f}" if floor else "-",
        f"{case['p50_s'] / floor:.2f}" if floor else "-",
    ]


def print_table(rows):
    header = ["algorithm", "elements", "min ms", "p50 ms", "p99 ms", "bytes sent", "formula", "speed-up", "codec ms",
              "floor ms", "x floor"]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    for line in [header, *rows]:
        print("  ".join(text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths))))
    print("speed-up: over the library's float32 all-reduce of as many elements, of medians")
    print("codec: moments, encode and decode alone, all ranks at a time, in the same run: median of the slowest rank's")
    print("floor: bytes sent / line rate, for ternaries plus codec; adding planes is not in it")


def judge(figures):
    """Prints each promised figure and yields those that are missed. `figures`: name, value, bound, whether a minimum."""
    for name, value, bound, at_least in figures:
        kept = value >= bound if at_least else value <= bound
        limit = f"at {'least' if at_least else 'most'} {bound}"
        print(f"{'ok    ' if kept else 'MISSED'}  {name}: {value:.2f} ({limit})")
        if not kept:
            yield f"{name}: {value:.2f}, promised {limit}"


def main(directory, hosts, rate, more_rounds):
    reports = []
    for name in ("allreduce.json", "as-it-comes.json", "two-a-host.json"):
        with open(os.path.join(directory, name)) as file:
            reports.append(json.load(file))
    allreduce, as_it_comes, two_a_host = reports
    hosts, line = int(hosts), bits_per_second(rate)
    problems = [*check_report(allreduce, hosts, hosts), *check_report(as_it_comes, hosts, hosts), *check_report(two_a_host, hosts, 2 * hosts)]

    rows, promised = [], {}
    library = {c["elements"]: c["p50_s"] for c in allreduce["cases"] if c["algorithm"] == LIBRARY}
    for case in allreduce["cases"]:
        name, elements = case["algorithm"], case["elements"]
        floor = None
        if line and case["bytes_sent_per_rank"]:
            floor = 8 * case["bytes_sent_per_rank"] / line
            floor += case["codec_s"] or 0
        rows.append(row(case, library.get(elements), floor))
        if elements == PROMISED["elements"]:
            promised[name] = (case["p50_s"], floor and case["p50_s"] / floor)
    print_table(rows)
    own = {c["elements"]: c["p50_s"] for c in as_it_comes["cases"]}
    for elements, seconds in own.items():
        print(f"{LIBRARY} of {elements:,} elements as Open MPI comes: {1e3 * seconds:.1f} ms")
    right = sum(case["verified"] for case in two_a_host["cases"])
    print(f"{two_a_host['ranks']} ranks on {two_a_host['hosts']} hosts: {right} of {len(two_a_host['cases'])} cases are right")
    problems += check_links(directory, hosts, line is not None, int(more_rounds))

    if (hosts, rate) == (PROMISED["hosts"], PROMISED["rate"]) and promised:
        ternaries = [name for name in promised if name.endswith("_ternary")]
        missing = {LIBRARY, RING} - set(promised)
        if PROMISED["elements"] not in own:
            missing.add(f"{LIBRARY} as it comes")
        if missing or not ternaries:
            problems.append(f"not measured: {', '.join(sorted(missing)) or 'a ternary all-reduce'}")
        else:
            best = min(ternaries, key=lambda name: promised[name][0])
            seconds = {name: figures[0] for name, figures in promised.items()}
            as_it_comes_s = own[PROMISED["elements"]]
            problems += judge([
                (f"{best} over {LIBRARY} as it comes", as_it_comes_s / seconds[best], TERNARY_FASTER, True),
                (f"{best} over wire and codec_s", promised[best][1], OVER_WIRE_AND_CODEC, False),
                (f"{RING} over {LIBRARY}", seconds[LIBRARY] / seconds[RING], RING_FASTER, True),
            ])
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
