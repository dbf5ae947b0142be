#!/usr/bin/env python3
"""Compare training steps of `ternflock bench step` with PyTorch's.

    tests/peers/compare.py --python VENV/bin/python --models lenet,resnet-20 --threads 1,2 --rounds 5
    tests/peers/compare.py --python VENV/bin/python --precision float32,bf16 --batch 32,64,128,256 --compile

In each round, `ternflock` and every variant of PyTorch (memory layout of images; eager or compiled) run one after another, and
each ratio compares runs of the same round. So a machine whose speed drifts favours nobody. The table shows medians, and the
range of the ratios, against the variant of PyTorch with the highest median.

PyTorch uses its own allocator unless you set LD_PRELOAD to a faster one, which makes a fairer comparison (Debian:
libtcmalloc-minimal4). `ternflock` runs without LD_PRELOAD.

--dry-run prints the processor and the commands of one round, and needs neither PyTorch nor `ternflock`.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parent / "pytorch_step.py"
IMAGES = ["lenet", "convnet-quick", "resnet-20"]
TEXTS = ["lstm-small", "lstm-medium"]
# Instruction sets that decide which kernels either program uses.
INSTRUCTIONS = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"]


class Failed(Exception):
    """A command that failed, with the last line of its errors."""


def run(command, environment):
    """The last line that `command` prints, as JSON, and all lines before it."""
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"{shlex.join(command)}: exit code {done.returncode}: {last}")
    *lines, last = done.stdout.splitlines()
    return json.loads(last), lines


def without_preload():
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


class Case:
    """One line of the table: the same step in both programs."""

    def __init__(self, options, model, precision, batch, threads):
        self.options, self.model, self.precision, self.batch, self.threads = options, model, precision, batch, threads

    def common(self):
        words = ["--model", self.model, "--threads", self.threads, "--seconds", str(self.options.seconds)]
        if self.batch:
            words += ["--batch", self.batch]
        return words + (["--precision", self.precision] if self.precision != "float32" else [])

    def ours(self):
        return [self.options.program, "bench", "step", *self.common(), "--json"]

    def theirs(self):
        """The commands of PyTorch by variant."""
        layouts = self.options.layout if self.model in IMAGES else [""]
        commands = {}
        for layout, compiled in itertools.product(layouts, [False, True] if self.options.compile else [False]):
            name = ", ".join(filter(None, ["compiled" if compiled else "eager", layout]))
            words = ["--layout", layout] * bool(layout) + ["--compile"] * compiled
            commands[name] = [self.options.python, str(SCRIPT), *self.common(), *words]
        return commands

    def measure(self):
        """The reports of `rounds` rounds: ours, and PyTorch's by variant. A variant that fails is reported and left out."""
        ours, theirs = [], {name: [] for name in self.theirs()}
        environment = dict(os.environ, OMP_NUM_THREADS=self.threads)
        for _ in range(self.options.rounds):
            ours.append(run(self.ours(), without_preload())[0])
            for name in list(theirs):
                try:
                    theirs[name].append(run(self.theirs()[name], environment)[0])
                except Failed as failure:
                    print(f"PyTorch, {name}, is left out: {failure}", file=sys.stderr)
                    del theirs[name]
        if not theirs:
            raise Failed(f"no variant of PyTorch runs {self.model}")
        return ours, theirs


def cases(options):
    for model in options.models:
        batches = options.batch if model in IMAGES else [""]
        for precision, batch, threads in itertools.product(options.precision, batches, options.threads):
            yield Case(options, model, precision, batch, threads)


def median(reports, key):
    return statistics.median(report[key] for report in reports)


def best(theirs):
    """The variant with the highest median rate.

    >>> best({"eager": [{"samples_per_s": 3}, {"samples_per_s": 5}], "compiled": [{"samples_per_s": 4}, {"samples_per_s": 5}]})
    'compiled'
    """
    return max(theirs, key=lambda name: median(theirs[name], "samples_per_s"))


def ratios(ours, theirs):
    """The median ratio of rates of the same round, and the range.

    >>> ratios([{"samples_per_s": 30}, {"samples_per_s": 20}], [{"samples_per_s": 10}, {"samples_per_s": 20}])
    '2.00 (1.00 to 3.00)'
    """
    all_ratios = [mine["samples_per_s"] / other["samples_per_s"] for mine, other in zip(ours, theirs)]
    return f"{statistics.median(all_ratios):.2f} ({min(all_ratios):.2f} to {max(all_ratios):.2f})"


COLUMNS = ["model", "precision", "batch", "threads", "samples/s", "PyTorch", "its variant", "ratio (range)", "GFLOP/s of a large product's",
           "peak MB", "PyTorch", "ratio"]


def line(case, ours, theirs):
    """The cells of one line of the table, and the rates of PyTorch's other variants."""
    name = best(theirs)
    memory, theirs_memory = median(ours, "peak_rss_mb"), median(theirs[name], "peak_rss_mb")
    cells = [
        case.model, case.precision, str(ours[0]["batch"]), case.threads,
        f"{median(ours, 'samples_per_s'):,.0f}", f"{median(theirs[name], 'samples_per_s'):,.0f}", name, ratios(ours, theirs[name]),
        f"{median(ours, 'gflops'):.0f} of {median(ours, 'gemm_peak_gflops'):.0f}",
        f"{memory:.0f}", f"{theirs_memory:.0f}", f"{memory / theirs_memory:.2f}",
    ]
    others = [f"{other} {median(theirs[other], 'samples_per_s'):,.0f}" for other in theirs if other != name]
    return cells, others


def table_line(cells):
    return "| " + " | ".join(cells) + " |"


def processor():
    """What this processor is: its name, family and model, instruction sets and the cores that this process may use."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", text.split("\n\n")[0], re.MULTILINE))
    name = found.get("model name") or platform.processor() or platform.machine()
    family = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    has = [name for name in INSTRUCTIONS if name in found.get("flags", "").split()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}{family}, {', '.join(has) or 'none of ' + ', '.join(INSTRUCTIONS)}; cores: {cores}"


def ours_described(options):
    report, _ = run([options.program, "bench", "step", "--model", "lenet", "--batch", "1", "--seconds", "0", "--json"], without_preload())
    blas = "" if report["instructions"] == "AVX-512" else f"; {report['blas']}"
    return f"{report['products']}; vector instructions: {report['instructions']}{blas}"


def pytorch_described(options):
    report, lines = run([options.python, str(SCRIPT), "--describe"], dict(os.environ, ONEDNN_VERBOSE="1"))
    isa = re.search(r"cpu,isa:(.*)", "\n".join(lines))
    preload = os.environ.get("LD_PRELOAD", "none")
    return f"{report['torch']}, {report['capability']}; oneDNN: {isa[1] if isa else 'unknown'}; LD_PRELOAD: {preload}"


def arguments():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3", help="a Python that has torch")
    parser.add_argument("--program", default="target/release/ternflock")
    parser.add_argument("--models", type=words, default=IMAGES + TEXTS)
    parser.add_argument("--precision", type=words, default=["float32"], help="float32, bf16 or both, separated by a comma")
    parser.add_argument("--batch", type=words, default=[""], help="batch sizes of the models of images; 64 by default")
    parser.add_argument("--threads", type=words, default=["1", "2"])
    parser.add_argument("--layout", type=words, default=["contiguous", "channels_last"], help="memory layouts of PyTorch's images")
    parser.add_argument("--compile", action="store_true", help="also run PyTorch's models compiled by torch.compile")
    parser.add_argument("--seconds", type=float, default=4, help="how long each program measures in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true", help="print the processor and the commands of one round")
    options = parser.parse_args()
    for model in options.models:
        if model not in IMAGES + TEXTS:
            parser.error(f"--models: no model is called `{model}`; known are {', '.join(IMAGES + TEXTS)}")
    return options


def main():
    options = arguments()
    print(f"Processor: {processor()}")
    if options.dry_run:
        for case in cases(options):
            for command in [case.ours(), *case.theirs().values()]:
                print(shlex.join(command))
        return
    try:
        print(f"ternflock: {ours_described(options)}")
        print(f"PyTorch: {pytorch_described(options)}\n")
        print(table_line(COLUMNS) + "\n" + "|---" * len(COLUMNS) + "|", flush=True)
        slower = []
        for case in cases(options):
            cells, others = line(case, *case.measure())
            print(table_line(cells), flush=True)
            if others:
                slower.append(f"- {', '.join(cells[:4])}: {'; '.join(others)}")
    except Failed as failure:
        sys.exit(str(failure))
    if slower:
        print("\nPyTorch's other variants, in samples/s (model, precision, batch, threads):\n\n" + "\n".join(slower))


if __name__ == "__main__":
    main()
