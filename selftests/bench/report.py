#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tables and plots of the benchmarks.

report.py collect RAW JSON   rows of a part, from a file with one value a line
report.py report FOLDER      FOLDER/*.json -> report.md, report.json, *.svg
report.py --rst FOLDER       the tables for the documentation, on standard output
"""

import glob
import json
import os
import platform
import statistics
import subprocess
import sys
import time

ROW_KEYS = {"part", "contender", "via", "metric", "params", "unit"}
VALUE_KEYS = {"values", "median", "min", "max"}

# What explains a result, and is none itself: not for the documentation.
DETAILS = {"requests/s", "kicks per request", "client ns per request",
           "kick ns per request"}

# Of these, what the client does: submit and look at what is back; kick.
CLIENT = {"client ns per request", "kick ns per request"}

OURS = "ours"

# Where every contender is compared with each of these, not pairs of them.
RIVALS = {"fio": ("brd", "null_blk", "vdpa_sim_blk", "vduse-null-co",
                  "vduse-null_blk")}


class BadRow(Exception):
    """A row without what the report needs."""


def check(row, keys):
    """Each key is there, and the parameters are an object."""
    if not isinstance(row, dict):
        raise BadRow(f"not an object: {row!r}")
    missing = sorted(keys - row.keys())
    if missing:
        raise BadRow(f"no {', '.join(missing)} in {json.dumps(row)}")
    if not isinstance(row["params"], dict):
        raise BadRow(f"params is not an object in {json.dumps(row)}")
    return row


def check_row(row):
    check(row, ROW_KEYS | VALUE_KEYS)
    if not row["values"]:
        raise BadRow(f"no values in {json.dumps(row)}")
    return row


# ---- rows ----

def group_key(row):
    return json.dumps([row[k] for k in sorted(ROW_KEYS)], sort_keys=True)


def collect(lines):
    """One row for all values of the same thing."""
    rows = {}
    for line in lines:
        sample = check(json.loads(line), ROW_KEYS | {"value"})
        row = {k: sample[k] for k in sample if k != "value"}
        row["values"] = []
        rows.setdefault(group_key(sample), row)["values"].append(sample["value"])
    if not rows:
        raise BadRow("no values at all")
    for row in rows.values():
        row["median"] = statistics.median(row["values"])
        row["min"] = min(row["values"])
        row["max"] = max(row["values"])
    return list(rows.values())


def load_rows(folder):
    rows = []
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        if os.path.basename(path) == "report.json":
            continue
        with open(path, encoding="utf-8") as f:
            part = json.load(f)
        if not isinstance(part, list):
            raise BadRow(f"{path} is not a list of rows")
        rows += [check_row(row) for row in part]
    if not rows:
        raise BadRow(f"no rows in {folder}")
    return rows


# ---- where they come from ----

def first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return out.stdout.splitlines()[0] if out.stdout else "none"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    here = os.path.dirname(os.path.abspath(__file__))
    return {
        "CPU": cpu_model(),
        "CPUs": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "compiler": first_line(["gcc", "--version"]),
        "QEMU": first_line(["qemu-system-x86_64", "--version"]),
        "date": time.strftime("%Y-%m-%d"),
        "sources": first_line(["git", "-C", here, "describe", "--always",
                               "--dirty", "--tags"]),
    }


def load_notes(folder):
    """Of each part: what, text."""
    notes = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.notes"))):
        part = os.path.basename(path)[:-len(".notes")]
        with open(path, encoding="utf-8") as f:
            notes[part] = dict(line.rstrip("\n").split(": ", 1) for line in f)
    return notes


def client_share(rows):
    """How much of a request's time is the client's, at most: in percent, by
    metric. It is not on top: the device works meanwhile."""
    whole = {}
    for row in rows:
        if row["metric"] == "ns per request":
            whole[row["contender"], json.dumps(row["params"])] = row["median"]
    shares = {}
    for row in rows:
        key = row["contender"], json.dumps(row["params"])
        if row["metric"] in CLIENT and key in whole:
            shares.setdefault(row["metric"], []).append(
                100 * row["median"] / whole[key])
    return {metric: f"at most {max(values):.0f} % of the time, "
                    f"{statistics.median(values):.1f} % in the middle"
            for metric, values in shares.items()}


# ---- tables ----

def is_ours(column):
    return column[0].startswith(OURS)


class Table:
    """One metric of one part: a line for each set of parameters, a column for
    each contender, and ratios."""

    def __init__(self, rows):
        self.rows = rows
        first = rows[0]
        self.part, self.metric, self.unit = (first["part"], first["metric"],
                                             first["unit"])
        self.columns = sorted({(r["contender"], r["via"]) for r in rows},
                              key=lambda c: (not is_ours(c), c))
        names = list(first["params"])
        self.fixed = {n: first["params"][n] for n in names
                      if len({r["params"][n] for r in rows}) == 1}
        self.names = [n for n in names if n not in self.fixed]
        self.cells = {(self.point(r), (r["contender"], r["via"])): r
                      for r in rows}
        self.points = sorted({p for p, _ in self.cells})

    def point(self, row):
        return tuple(row["params"][n] for n in self.names)

    def label(self, column):
        """The way in is named where it tells columns apart."""
        if len({via for _, via in self.columns}) == 1:
            return column[0]
        return f"{column[0]}, {column[1]}"

    def title(self):
        fixed = ", ".join(f"{n} {v}" for n, v in self.fixed.items())
        return f"{self.part}: {self.metric}" + (f" ({fixed})" if fixed else "")

    def peers(self):
        """Pairs of columns to compare: ours first, with the same way in and the
        same behind it where there is one, or else RAM."""
        ours = [c for c in self.columns if is_ours(c)]
        for peer in self.columns:
            if is_ours(peer) or not ours:
                continue
            yield max(ours, key=lambda c, peer=peer: (
                c[1] == peer[1], c[0] == f"{OURS}-{peer[0]}",
                c[0] == f"{OURS}-ram")), peer

    def ratio(self, a, b):
        a, b = self.cells.get(a), self.cells.get(b)
        if not a or not b or not b["median"]:
            return "-"
        return f"{a['median'] / b['median']:.2f}"

    def grown(self):
        """What a part about growth compares with: the point with the least of
        what only its table has."""
        if self.part != "growth" or len(self.points) < 2:
            return None
        for name in ("ranges", "ring", "segs", "disks"):
            if name in self.names:
                return self.names.index(name)
        return None

    def grown_from(self, point, at):
        """There may be more queues where there are more jobs."""
        def rest(p):
            return [v for n, v in zip(self.names, p)
                    if n not in (self.names[at], "queues")]
        return min((p for p in self.points if rest(p) == rest(point)),
                   key=lambda p: p[at])

    def header(self):
        out = list(self.names) + [f"{self.label(c)} [{self.unit}]"
                                  for c in self.columns]
        out += [f"{self.label(a)} / {self.label(b)}" for a, b in self.peers()]
        at = self.grown()
        if at is not None:
            out += [f"{self.label(c)}, growth" for c in self.columns]
        return out

    def lines(self):
        at = self.grown()
        for point in self.points:
            out = [str(v) for v in point]
            out += [show(self.cells.get((point, c))) for c in self.columns]
            out += [self.ratio((point, a), (point, b)) for a, b in self.peers()]
            if at is not None:
                base = self.grown_from(point, at)
                out += [self.ratio((point, c), (base, c))
                        for c in self.columns]
            yield out


class ByContender(Table):
    """One metric of one part: a line for each contender, a column for each of
    its rivals, and growth with the number of jobs."""

    def rivals(self):
        here = {name: (name, via) for name, via in self.columns}
        return [here[name] for name in RIVALS[self.part] if name in here]

    def growth(self, point, column):
        """The ratio to one job."""
        one = self.grown_from(point, self.names.index("jobs"))
        if one == point:
            return None
        a, b = self.cells.get((point, column)), self.cells.get((one, column))
        return a["median"] / b["median"] if a and b else None

    def header(self):
        out = ["contender"] + self.names + [f"{self.metric} [{self.unit}]"]
        out += [f"/ {name}" for name, _ in self.rivals()]
        if "jobs" in self.names:
            out += ["growth", "growth / brd's"]
        return out

    def grown_lines(self, point, column):
        own = self.growth(point, column)
        brd = [self.growth(point, c) for c in self.rivals() if c[0] == "brd"]
        yield f"{own:.2f}" if own else "-"
        yield f"{own / brd[0]:.2f}" if own and brd and brd[0] else "-"

    def lines(self):
        for point, column in ((p, c) for c in self.columns for p in self.points):
            if (point, column) not in self.cells:
                continue
            out = [column[0]] + [str(v) for v in point]
            out.append(show(self.cells[point, column]))
            out += [self.ratio((point, column), (point, rival))
                    for rival in self.rivals()]
            if "jobs" in self.names:
                out += self.grown_lines(point, column)
            yield out


def number(value):
    """Four digits, and no exponent."""
    if value and abs(value) < 1000:
        return f"{value:.4g}" if abs(value) >= 0.001 else f"{value:.4f}"
    return f"{value:.0f}"


def show(row):
    if not row:
        return "-"
    return (f"{number(row['median'])} "
            f"({number(row['min'])}..{number(row['max'])})")


def one_table(row):
    """Where a part counts all sorts of things, these are the lines."""
    if row["part"] != "events":
        return row
    return {**row, "metric": "events per request", "params": {
        "event": row["metric"].removesuffix(" per request"), **row["params"]}}


def group(row):
    """What one table has."""
    params = row["params"]
    if row["part"] in RIVALS:
        params = {k: params[k] for k in params if k not in ("jobs", "queues")}
        return row["part"], row["metric"], tuple(map(str, params.items()))
    return row["part"], row["metric"], tuple(sorted(params))


def tables(rows):
    groups = {}
    for row in map(one_table, rows):
        groups.setdefault(group(row), []).append(row)
    return [(ByContender if key[0] in RIVALS else Table)(groups[key])
            for key in sorted(groups)]


def md_table(table):
    out = [f"### {table.title()}", ""]
    out.append("| " + " | ".join(table.header()) + " |")
    out.append("|" + "---|" * len(table.header()))
    out += ["| " + " | ".join(line) + " |" for line in table.lines()]
    return out + [""]


def rst_table(table):
    lines = [table.header()] + list(table.lines())
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = "  ".join("=" * w for w in widths)
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip()
            for line in lines]
    title = table.title()
    return ([title, "-" * len(title), "", rule, text[0], rule] + text[1:] +
            [rule, ""])


# ---- plots ----

def plots_of(table):
    """(x, panels): each panel has the other parameters, and lines of points: one
    for each contender and number of queues."""
    for x in table.names:
        at = table.names.index(x)
        panels = {}
        for (point, column), row in table.cells.items():
            if not isinstance(point[at], (int, float)):
                continue
            rest = {n: v for n, v in zip(table.names, point) if n != x}
            queues = rest.pop("queues", None)
            label = table.label(column)
            if queues is not None:
                label += f", {queues} queues" if queues > 1 else ", 1 queue"
            panels.setdefault(tuple(rest.items()), {}).setdefault(
                label, []).append((point[at], row))
        panels = {rest: lines for rest, lines in panels.items()
                  if max(len(line) for line in lines.values()) >= 3}
        if panels:
            yield x, panels


def draw_panel(axes, lines, table, x):
    for label, points in sorted(lines.items()):
        points.sort(key=lambda p: p[0])
        median = [r["median"] for _, r in points]
        axes.errorbar([p for p, _ in points], median, label=label, capsize=3,
                      marker="o", markersize=3, yerr=[
                          [m - r["min"] for m, (_, r) in zip(median, points)],
                          [r["max"] - m for m, (_, r) in zip(median, points)]])
    axes.set_xlabel(f"{x} [{'bytes' if x == 'bs' else 'number'}]")
    axes.set_ylabel(f"{table.metric} [{table.unit}]")
    axes.set_xscale("log", base=2)
    ticks = sorted({p for line in lines.values() for p, _ in line})
    axes.set_xticks(ticks, labels=[str(t) for t in ticks])
    values = [r["median"] for line in lines.values() for _, r in line]
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")


def draw(folder, table, x, panels):
    import matplotlib  # not needed, nor installed, for anything else
    matplotlib.use("svg")
    from matplotlib import pyplot

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure, axes = pyplot.subplots(down, across, squeeze=False,
                                   figsize=(5 * across, 3.6 * down))
    for place in axes.flat[len(panels):]:
        place.set_visible(False)
    for place, (rest, lines) in zip(axes.flat, sorted(panels.items())):
        draw_panel(place, lines, table, x)
        place.set_title(", ".join(f"{n} {v}" for n, v in rest),
                        fontsize="small")
    figure.suptitle(table.title())
    figure.tight_layout()
    words = f"{table.part} {table.metric} by {x}".replace("/", " per ")
    name = "-".join(words.split()) + ".svg"
    figure.savefig(os.path.join(folder, name))
    pyplot.close(figure)
    return name


def draw_all(folder, all_tables):
    names = []
    for table in all_tables:
        if table.metric in DETAILS:
            continue
        for x, panels in plots_of(table):
            names.append(draw(folder, table, x, panels))
    return names


# ---- reports ----

def report_md(rows, notes, plots):
    out = ["# Benchmarks", "", "Medians, with the smallest and the largest value. "
           "A ratio below 1 means that the first of the two takes less; where "
           "IOPS are compared, that it does less.", ""]
    out += [f"* {k}: {v}" for k, v in machine().items()]
    for part in sorted({r["part"] for r in rows}):
        out += ["", f"## {part}", ""]
        of_part = [r for r in rows if r["part"] == part]
        about = notes.get(part, {}) | client_share(of_part)
        out += [f"* {k}: {v}" for k, v in about.items()]
        out.append("")
        for table in tables(of_part):
            out += md_table(table)
    out += ["## Plots", ""] + [f"![{p}]({p})" for p in plots]
    return "\n".join(out) + "\n"


RST_HEAD = """.. SPDX-License-Identifier: GPL-2.0-only

===========
Performance
===========

``make bench`` on one machine; ``selftests/bench/report.py --rst`` made this file
of what it found. Medians, with the smallest and the largest value. A ratio below
1 means that the first of the two takes less (where IOPS are compared, that it does
less); *growth* is the ratio to the first line of its kind.

``host`` is the ring and request code alone, built for the host, with what a driver
stores for each request: in a packed ring that is all its descriptors. ``fio``,
``events`` and ``insn`` come from Debian's 6.12 in QEMU: where it emulates the CPU, their ratios
and counts say something, the figures do not. In the other parts a client polls a
ring of ``/dev/vhost-vdpa-N`` on one CPU of user-mode Linux, and the
disk's worker has the other one: what the kernel's code takes, at the machine's
speed. System calls and wake-ups are slow there, hence ``depth``: with one batch in
flight the worker falls asleep after each, with two it does not.
``vdpa_sim_blk-va0`` and ``-va1`` are the kernel's own simulator with ``use_va`` off
and on.
"""


def report_rst(rows, notes):
    out = [RST_HEAD]
    for k, v in machine().items():
        out.append(f":{k}: {v}")
    out.append("")
    for part in sorted({r["part"] for r in rows}):
        out += [part, "=" * len(part), ""]
        of_part = [r for r in rows if r["part"] == part]
        about = notes.get(part, {}) | client_share(of_part)
        out += [f":{k}: {v}" for k, v in about.items()]
        out.append("")
        for table in tables(of_part):
            if table.metric not in DETAILS:
                out += rst_table(table)
    return "\n".join(out).rstrip("\n") + "\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main_report(folder):
    rows, notes = load_rows(folder), load_notes(folder)
    plots = draw_all(folder, tables(rows))
    write(os.path.join(folder, "report.md"), report_md(rows, notes, plots))
    write(os.path.join(folder, "report.json"), json.dumps(
        {"machine": machine(), "notes": notes, "rows": rows}, indent=1) + "\n")


def main_collect(raw, out):
    with open(raw, encoding="utf-8") as f:
        rows = collect(f)
    write(out, json.dumps(rows, indent=1) + "\n")


def main(args):
    if len(args) == 3 and args[0] == "collect":
        main_collect(args[1], args[2])
    elif len(args) == 2 and args[0] == "report":
        main_report(args[1])
    elif len(args) == 2 and args[0] == "--rst":
        sys.stdout.write(report_rst(load_rows(args[1]), load_notes(args[1])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BadRow, json.JSONDecodeError) as e:
        sys.exit(f"report.py: {e}")
