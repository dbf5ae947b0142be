"""Says of each rank of a soak how memory and open files went, and fails where one grows.

    soak.py FILE    with the columns second, pid, rss_kb and files
"""

import sys


def main(path):
    ranks = {}
    with open(path) as file:
        next(file)
        for line in file:
            second, pid, rss, files = map(int, line.split())
            ranks.setdefault(pid, []).append((second, rss, files))
    if not ranks:
        sys.exit("no rank was seen")
    grows = False
    for pid, samples in ranks.items():
        quarter = max(1, len(samples) // 4)
        first, last = samples[:quarter], samples[-quarter:]
        most = [max(rss for _, rss, _ in part) for part in (first, last)]
        files = [max(count for _, _, count in part) for part in (first, last)]
        too_much = most[1] > most[0] + most[0] / 64 + 1024 or files[1] > files[0]
        grows |= too_much
        print(f"rank of process {pid}: {len(samples)} samples over {samples[-1][0] - samples[0][0]} s, at most {most[0] / 1024:.1f} MiB in the "
              f"first quarter and {most[1] / 1024:.1f} MiB in the last, {files[0]} and {files[1]} open files"
              f"{': it grows' if too_much else ''}")
    if grows:
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
