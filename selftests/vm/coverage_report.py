#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What did the tests reach? coverage_report.py TREE FOLDER LEAST

Reads FOLDER/gcov.json, one object file a line, as gcov writes it, and leaves
FOLDER/report.md: lines and branches by file, and each line that was never
executed. What is in a header counts as reached when one object has reached it.
Exits with 1 when less than LEAST percent of all lines were.
"""

import collections
import json
import os
import sys

# Where the tree was when it was built.
BUILT_IN = "/vdpa-blk/"


class Source:
    """A file of the tree, over all object files."""

    def __init__(self):
        self.lines = collections.Counter()
        self.branches = collections.Counter()
        self.functions = {}

    def add(self, line):
        number = line["line_number"]
        self.lines[number] += line["count"]
        self.functions[number] = line.get("function_name", "")
        for i, branch in enumerate(line["branches"]):
            key = number, line.get("function_name"), i
            self.branches[key] += branch["count"]

    def missed(self):
        return sorted(n for n, count in self.lines.items() if not count)


def load(tree, path):
    """Not what the build has made, as vdpa_blk_sim.mod.c is."""
    sources = collections.defaultdict(Source)
    with open(path, encoding="utf-8") as file:
        for text in file:
            unit = json.loads(text)
            cwd = unit["current_working_directory"]
            for part in unit["files"]:
                name = os.path.normpath(os.path.join(cwd, part["file"]))
                name = name.removeprefix(BUILT_IN)
                if not os.path.isfile(f"{tree}/{name}"):
                    continue
                for line in part["lines"]:
                    sources[name].add(line)
    return dict(sorted(sources.items()))


def share(counts):
    """(reached, of) of some counters"""
    return sum(1 for count in counts if count), len(counts)


def percent(reached, total):
    return 100 * reached / total if total else 100.0


def row(name, lines, branches):
    cells = [f"{a} of {b} ({percent(a, b):.1f} %)" for a, b in (lines, branches)]
    return f"| {name} | {cells[0]} | {cells[1]} |"


def table(sources):
    """The rows, and how many lines were reached of how many."""
    rows = ["| file | lines | branches |", "|---|---|---|"]
    sums = [[0, 0], [0, 0]]
    for name, source in sources.items():
        both = share(source.lines.values()), share(source.branches.values())
        rows.append(row(name, *both))
        for total, (reached, of) in zip(sums, both):
            total[0] += reached
            total[1] += of
    rows.append(row("all", *sums))
    return rows, sums[0]


def not_reached(tree, sources):
    out = []
    for name, source in sources.items():
        missed = source.missed()
        if not missed:
            continue
        with open(os.path.join(tree, name), encoding="utf-8") as file:
            text = file.read().split("\n")
        out += [f"## {name}", "", "```"]
        out += [f"{n:5} {source.functions[n]}: {text[n - 1].strip()}"
                for n in missed]
        out += ["```", ""]
    return out


def main(tree, folder, least):
    sources = load(tree, os.path.join(folder, "gcov.json"))
    rows, (reached, total) = table(sources)
    path = os.path.join(folder, "report.md")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(["# Coverage", "", *rows, "", "# Lines not reached",
                             "", *not_reached(tree, sources)]))
    print("\n".join(rows))
    print(f"the lines that were not reached are in {path}")
    if percent(reached, total) < float(least):
        print(f"less than {least} % of the lines")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
