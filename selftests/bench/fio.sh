#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio.sh: IOPS and latencies of ours and of others, side by side in one boot of
# 6.12 in QEMU. An emulated CPU is slow, and slower at some things than at others:
# only the ratios say something.
#
#   QUICK=1    random reads only, some 3 minutes instead of 10

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

part_start fio
peers=$("$BENCH_DIR/peers.sh" 6.12)
rm -rf "$OUT/peers" "$OUT/fio.runs"
scratch+=("$OUT/peers" "$OUT/fio.runs")
cp -r "$peers" "$OUT/peers"
in_qemu fio-vm.sh "QUICK=${QUICK:-}"
"$BENCH_DIR/fio_rows.py" "$OUT/fio.runs" >"$raw"
part_end
