#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh [PART...]: run benchmarks, make tables and plots of them and of what
# ran before, in build/bench. A part is a script PART.sh here; without arguments
# all there are.
#
#   host      ring and request code alone, on this machine
#   native    requests through /dev/vhost-vdpa-N, with the kernel's own
#             simulator as a peer, in user-mode Linux
#   growth    time and memory with more ranges, disks, ring entries, segments
#   fio       IOPS and latencies of fio's usual jobs, side by side with others;
#             QUICK=1 for a few jobs only
#   events    kicks, interrupts, wake-ups, allocations and bios per request
#
#   ROUNDS=5      values for each figure
#   SEED=         of the order things are measured in
#
# Real-time priority is used where it may be: a busy machine spoils the figures.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PARTS="host native growth fio events"

# Ours, and those that need more than this file knows of.
all_parts() {
	local script name

	echo "$PARTS"
	for script in "$BENCH_DIR"/*.sh; do
		name=$(basename "$script" .sh)
		case $name in
		bench | *-vm) continue ;;
		esac
		[[ ! -x $script || " $PARTS " == *" $name "* ]] || echo "$name"
	done
}

run_part() {
	[ -x "$BENCH_DIR/$1.sh" ] || die "no part $1; there are: $(all_parts | xargs)"
	run_job env ROUNDS="$ROUNDS" BENCH_OUT="$OUT" SEED="$SEED" \
		"$BENCH_DIR/$1.sh"
	[ "$job_status" -eq 0 ] || die "$1 failed ($job_status)"
}

main_bench() {
	local part

	cleanup_on_exit
	need_pkgs python3 python3-matplotlib util-linux
	run_job "$BENCH_DIR/report_test.py"
	[ "$job_status" -eq 0 ] || die "the report is not to be trusted"
	mkdir -p "$OUT"
	for part in "$@"; do
		run_part "$part"
	done
	run_job "$BENCH_DIR/report.py" report "$OUT"
	[ "$job_status" -eq 0 ] || exit "$job_status"
	log "the tables are in $OUT/report.md"
}

{
	# shellcheck disable=SC2046 # a list
	[ $# -gt 0 ] || set -- $(all_parts)
	main_bench "$@"
	exit
}
