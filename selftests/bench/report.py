#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tables and plots of the benchmarks.

report.py collect RAW JSON   rows of a part, from a file with one value a line
report.py report FOLDER      FOLDER/*.json -> report.md, report.json, *.svg
report.py rst FOLDER FILE    the tables for the documentation
"""

import json
import statistics
import sys

ROW_KEYS = {"part", "contender", "via", "metric", "params", "unit"}
VALUE_KEYS = {"values", "median", "min", "max"}


class BadRow(Exception):
    """A row without what the report needs."""


def check(row, keys):
    """Each key is there, and nothing is empty."""
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


def group_key(row):
    return json.dumps([row[k] for k in sorted(ROW_KEYS)], sort_keys=True)


def collect(lines):
    """One row for all values of the same thing."""
    rows = {}
    for line in lines:
        sample = check(json.loads(line), ROW_KEYS | {"value"})
        row = rows.setdefault(group_key(sample),
                              {k: sample[k] for k in sample if k != "value"} |
                              {"values": []})
        row["values"].append(sample["value"])
    if not rows:
        raise BadRow("no values at all")
    for row in rows.values():
        row["median"] = statistics.median(row["values"])
        row["min"] = min(row["values"])
        row["max"] = max(row["values"])
        check_row(row)
    return list(rows.values())


def main_collect(raw, out):
    with open(raw, encoding="utf-8") as f:
        rows = collect(f)
    with open(out, "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
        f.write("\n")


def main(args):
    if len(args) == 3 and args[0] == "collect":
        main_collect(args[1], args[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BadRow, json.JSONDecodeError) as e:
        sys.exit(f"report.py: {e}")
