#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Is it flat? soak_report.py FOLDER: FOLDER/soak.csv -> report.md, soak.svg

The first quarter of the time does not count: caches fill, clients begin. In the
rest

 * no request failed but those that were to fail
 * memory in use grows by no more than 16 MiB, by the line that fits best
 * so do processes and threads, by no more than 8
 * each disk has done requests in each tenth of the time, and in the last third
   at least half as many as in the first

Exits with 1 when one of these is not so.
"""

import csv
import os
import sys

MEMORY_KIB = 16 << 10
PROCESSES = 8
LEAST_SHARE = 0.5
NO_DISKS = ("seconds", "memory", "processes", "errors")


def load(path):
    with open(path, encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    return {key: [int(row[key]) for row in rows] for key in rows[0]}


def settled(data):
    first = data["seconds"][-1] / 4
    start = sum(s < first for s in data["seconds"])
    return {key: values[start:] for key, values in data.items()}


def growth(times, values):
    """Of the line that fits best, over the whole time."""
    mean_t = sum(times) / len(times)
    mean_v = sum(values) / len(values)
    slope = (sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values)) /
             sum((t - mean_t) ** 2 for t in times))
    return slope * (times[-1] - times[0])


def part(values, i, n):
    """What was added in the ith of n parts."""
    last = len(values) - 1
    return values[last * (i + 1) // n] - values[last * i // n]


def rules(data):
    """(what, figure, whether it is well) of each rule"""
    times = data["seconds"]
    # Before the end some are counted on one side, and not yet on the other.
    errors = data["errors"][-1]
    yield "requests that failed", errors, errors == 0
    grown = growth(times, data["memory"])
    yield "memory grown by [KiB]", round(grown), grown <= MEMORY_KIB
    grown = growth(times, data["processes"])
    yield "processes grown by", round(grown), grown <= PROCESSES
    for disk in (k for k in data if k not in NO_DISKS):
        least = min(part(data[disk], i, 10) for i in range(10))
        yield f"{disk}: requests in the worst tenth", least, least > 0
        first = part(data[disk], 0, 3)
        share = part(data[disk], 2, 3) / first if first else 0
        yield (f"{disk}: last third to first", round(share, 2),
               share >= LEAST_SHARE)


def draw(path, data):
    import matplotlib  # not needed, nor installed, for anything else
    matplotlib.use("svg")
    from matplotlib import pyplot

    times = data["seconds"]
    figure, (speed, memory, errors) = pyplot.subplots(3, 1, sharex=True,
                                                      figsize=(8, 8))
    for disk in (k for k in data if k not in NO_DISKS):
        done = data[disk]
        speed.plot(times[1:], [(b - a) / max(1, t - s) for a, b, s, t in
                               zip(done, done[1:], times, times[1:])],
                   label=disk)
    speed.set_ylabel("requests per second")
    speed.set_yscale("symlog")
    speed.legend(fontsize="x-small")
    memory.plot(times, [m / 1024 for m in data["memory"]])
    memory.set_ylabel("memory in use [MiB]")
    memory.set_ylim(bottom=0)
    errors.plot(times, data["errors"], label="errors")
    errors.plot(times, data["processes"], label="processes")
    errors.set_ylim(bottom=0)
    errors.set_xlabel("seconds")
    errors.legend(fontsize="x-small")
    figure.tight_layout()
    figure.savefig(path)


def main(folder):
    data = load(os.path.join(folder, "soak.csv"))
    lines = ["| rule | figure | |", "|---|---|---|"]
    well = True
    for what, figure, good in rules(settled(data)):
        print(f"{'ok' if good else 'not ok':6} {what}: {figure}")
        lines.append(f"| {what} | {figure} | {'ok' if good else 'NOT OK'} |")
        well &= good
    draw(os.path.join(folder, "soak.svg"), data)
    with open(os.path.join(folder, "report.md"), "w", encoding="ascii") as out:
        out.write("\n".join([f"# Soak, {data['seconds'][-1]} seconds", "",
                             *lines, "", "![soak](soak.svg)", ""]))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
