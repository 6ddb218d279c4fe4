#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of report.py: what it refuses, and what it makes of figures."""

import json
import os
import tempfile
import unittest

import fio_rows
import report


def sample(value, contender="ours-ram", metric="ns per request", **params):
    return {"part": "native", "contender": contender, "via": "vhost-vdpa",
            "metric": metric, "unit": "ns", "params": params, "value": value}


def lines(*samples):
    return [json.dumps(s) for s in samples]


class Refused(unittest.TestCase):
    def test_a_value_without_a_key(self):
        for key in sample(1):
            bad = sample(1)
            del bad[key]
            with self.assertRaisesRegex(report.BadRow, f"no {key} in"):
                report.collect(lines(sample(1), bad))

    def test_a_row_without_a_key(self):
        good = report.collect(lines(sample(1)))[0]
        self.assertEqual(report.check_row(dict(good)), good)
        for key in good:
            bad = dict(good)
            del bad[key]
            with self.assertRaisesRegex(report.BadRow, f"no {key} in"):
                report.check_row(bad)

    def test_a_folder_with_such_a_row(self):
        rows = report.collect(lines(sample(1)))
        del rows[0]["median"]
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "x.json"), "w",
                      encoding="utf-8") as f:
                json.dump(rows, f)
            with self.assertRaisesRegex(report.BadRow, "no median in"):
                report.load_rows(folder)

    def test_nothing(self):
        with self.assertRaisesRegex(report.BadRow, "no values"):
            report.collect([])
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(report.BadRow, "no rows"):
                report.load_rows(folder)
        row = report.collect(lines(sample(1)))[0]
        row["values"] = []
        with self.assertRaisesRegex(report.BadRow, "no values"):
            report.check_row(row)

    def test_half_a_line(self):
        with self.assertRaises(json.JSONDecodeError):
            report.collect(['{"part":'])


class Tables(unittest.TestCase):
    def test_values_of_one_thing_make_one_row(self):
        rows = report.collect(lines(sample(9, bs=512), sample(1, bs=512),
                                    sample(2, bs=512), sample(7, bs=4096)))
        self.assertEqual(len(rows), 2)
        self.assertEqual(rows[0]["values"], [9, 1, 2])
        self.assertEqual((rows[0]["median"], rows[0]["min"], rows[0]["max"]),
                         (2, 1, 9))

    def test_ratio_to_the_peer(self):
        rows = report.collect(lines(sample(300, bs=512), sample(50, bs=4096),
                                    sample(200, "peer", bs=512)))
        table, = report.tables(rows)
        self.assertEqual(table.header(), ["bs", "ours-ram [ns]", "peer [ns]",
                                          "ours-ram / peer"])
        self.assertEqual(list(table.lines()),
                         [["512", "300 (300..300)", "200 (200..200)", "1.50"],
                          ["4096", "50 (50..50)", "-", "-"]])

    def test_growth_from_the_first(self):
        rows = report.collect(lines(sample(10, bs=1, ranges=1),
                                    sample(25, bs=1, ranges=64),
                                    sample(40, bs=2, ranges=1),
                                    sample(60, bs=2, ranges=64)))
        for row in rows:
            row["part"] = "growth"
        table, = report.tables(rows)
        self.assertEqual(table.header()[-1], "ours-ram, growth")
        self.assertEqual([line[-1] for line in table.lines()],
                         ["1.00", "2.50", "1.00", "1.50"])

    def test_ours_with_the_same_behind_it(self):
        rows = report.collect(lines(
            sample(1, "ours-file"), sample(2, "ours-null_blk"),
            sample(4, "ours-ram"), sample(8, "null_blk"), sample(8, "peer")))
        table, = report.tables(rows)
        self.assertEqual(list(table.lines())[0][-2:], ["0.25", "0.50"])

    def test_rivals_and_growth_with_jobs(self):
        def iops(value, contender, jobs):
            row = sample(value, contender, "IOPS", job="deep", depth=32,
                         jobs=jobs, queues=jobs)
            return {**row, "part": "fio", "unit": "1/s"}

        rows = report.collect(lines(
            iops(100, "ours-ram", 1), iops(180, "ours-ram", 2),
            iops(200, "brd", 1), iops(300, "brd", 2), iops(50, "loop", 1)))
        table, = report.tables(rows)
        self.assertEqual(table.header(),
                         ["contender", "jobs", "queues", "IOPS [1/s]", "/ brd",
                          "growth", "growth / brd's"])
        self.assertEqual([[line[0], line[1]] + line[4:] for line
                          in table.lines()],
                         [["ours-ram", "1", "0.50", "-", "-"],
                          ["ours-ram", "2", "0.60", "1.80", "1.20"],
                          ["brd", "1", "1.00", "-", "-"],
                          ["brd", "2", "1.00", "1.50", "1.00"],
                          ["loop", "1", "0.25", "-", "-"]])

    def test_each_job_has_a_table(self):
        rows = report.collect(lines(
            sample(1, metric="IOPS", bs=512), sample(2, metric="IOPS", bs=4096)))
        for row in rows:
            row["part"] = "fio"
        self.assertEqual([t.fixed for t in report.tables(rows)],
                         [{"bs": 4096}, {"bs": 512}])

    def test_events_are_lines_of_one_table(self):
        rows = report.collect(lines(
            sample(1, metric="kicks per request", depth=1),
            sample(2, metric="bios per request", depth=1)))
        for row in rows:
            row["part"] = "events"
        table, = report.tables(rows)
        self.assertEqual(table.names, ["event"])
        self.assertEqual([line[0] for line in table.lines()],
                         ["bios", "kicks"])

    def test_parameters_stay_in_their_order(self):
        rows = report.collect(lines(sample(1, rw="read", bs=512),
                                    sample(2, rw="write", bs=1024)))
        self.assertEqual(report.tables(rows)[0].names, ["rw", "bs"])

    def test_share_of_the_client(self):
        rows = report.collect(lines(
            sample(200, bs=512), sample(50, metric="client ns per request",
                                        bs=512),
            sample(100, bs=4096), sample(1, metric="client ns per request",
                                         bs=4096)))
        self.assertEqual(report.client_share(rows),
                         {"client ns per request": "at most 25 % of the time, "
                                                   "13.0 % in the middle"})

    def test_what_never_changes_is_in_the_title(self):
        rows = report.collect(lines(sample(1, bs=512, ring=256),
                                    sample(2, bs=1024, ring=256)))
        table, = report.tables(rows)
        self.assertIn("ring 256", table.title())
        self.assertEqual(table.names, ["bs"])

    def test_rst_is_as_wide_as_its_cells(self):
        rows = report.collect(lines(sample(1, bs=512), sample(2, bs=1024)))
        text = report.rst_table(report.tables(rows)[0])
        self.assertEqual(text[3], "====  =============")
        self.assertEqual(text[6], "512   1 (1..1)")


class Fio(unittest.TestCase):
    JOB = {"jobname": "latency", "error": 0, "read": {"iops": 0},
           "job options": {"rw": "randwrite", "bs": "4096", "iodepth": "1",
                           "numjobs": "2"},
           "write": {"iops": 5.5, "clat_ns": {"percentile": {
               "50.000000": 7500, "99.000000": 9000}}}}

    def text(self, **changes):
        return (json.dumps({"contender": "ours-ram", "round": 1}) + "\n" +
                json.dumps({"jobs": [{**self.JOB, **changes}]}, indent=1))

    def test_values_of_the_side_that_worked(self):
        text = self.text() + "\n" + self.text()
        rows = report.collect(map(json.dumps, fio_rows.rows(text)))
        self.assertEqual([(r["metric"], r["values"]) for r in rows],
                         [("IOPS", [5.5, 5.5]), ("latency p50", [7.5, 7.5]),
                          ("latency p99", [9, 9])])
        self.assertEqual(rows[0]["params"],
                         {"job": "latency", "rw": "randwrite", "bs": 4096,
                          "depth": 1, "jobs": 2, "queues": 2})

    def test_what_is_no_result(self):
        idle = {**self.JOB["job options"], "rw": "randread"}
        for text in ("", self.text(error=5), self.text(**{"job options": idle}),
                     '{"contender":"ours-ram"}'):
            with self.assertRaises(fio_rows.BadRun):
                list(fio_rows.rows(text))


if __name__ == "__main__":
    unittest.main(verbosity=0)
