#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Values from fio's JSON.

fio_rows.py FILE    a line for report.py from each job of each run in FILE: an
                    object that says whose run it is, then fio's own, and so on
"""

import json
import sys

DIRECT = {"null_blk", "brd", "loop"}


class BadRun(Exception):
    """Not what a run that went well leaves."""


def documents(text):
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        yield value


def runs(text):
    docs = list(documents(text))
    if not docs or len(docs) % 2:
        raise BadRun(f"{len(docs)} documents are no pairs")
    return list(zip(docs[::2], docs[1::2]))


def params(job):
    options = job["job options"]
    jobs = int(options["numjobs"])
    return {"job": job["jobname"], "rw": options["rw"],
            "bs": int(options["bs"]), "depth": int(options["iodepth"]),
            "jobs": jobs, "queues": jobs}


def values(contender, job):
    """Latencies where there is one request at a time: elsewhere they are the
    depth divided by the IOPS."""
    options = job["job options"]
    side = job["write" if "write" in options["rw"] else "read"]
    if job["error"] or not side["iops"]:
        raise BadRun(f"{contender}: error {job['error']}, {side['iops']} IOPS "
                     f"in {json.dumps(options)}")
    row = {"part": "fio", "contender": contender,
           "via": "direct" if contender in DIRECT else "virtio-vdpa",
           "params": params(job)}
    yield {**row, "metric": "IOPS", "unit": "1/s", "value": side["iops"]}
    if job["jobname"] != "latency":
        return
    for which in "50", "99":
        ns = side["clat_ns"]["percentile"][f"{which}.000000"]
        yield {**row, "metric": f"latency p{which}", "unit": "us",
               "value": ns / 1000}


def rows(text):
    for label, run in runs(text):
        for job in run["jobs"]:
            yield from values(label["contender"], job)


def main(args):
    if len(args) != 1:
        sys.exit(__doc__)
    with open(args[0], encoding="utf-8") as f:
        for row in rows(f.read()):
            print(json.dumps(row))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BadRun, KeyError, json.JSONDecodeError) as e:
        sys.exit(f"fio_rows.py: {e!r}")
