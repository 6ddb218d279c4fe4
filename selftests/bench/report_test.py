#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of report.py: what it refuses, and what it makes of figures."""

import json
import os
import tempfile
import unittest

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


if __name__ == "__main__":
    unittest.main(verbosity=0)
