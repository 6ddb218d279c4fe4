#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# coverage.sh: run the kselftests in a user-mode Linux that counts, the stage
# "coverage" of check.sh, and say what of the modules they have reached. In
# build/coverage: report.md, by file, and the lines that were not reached. Fails
# when a test did, and when less than LEAST percent of the lines were reached.

# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

LEAST=90
OUT=$TOP/build/coverage

# What gcov wants in one place: what was built, and what was counted.
collect() {
	local from=$TOP/build/check/coverage.results/vdpa-blk file

	[ -d "$from" ] || die "nothing was counted"
	rm -rf "$OUT"
	mkdir -p "$OUT/objects"
	find "$from" -name '*.gcda' -type f -exec cp -t "$OUT/objects" {} +
	for file in "$OUT"/objects/*.gcda; do
		file=${file##*/}
		find "$TOP/build/uml-gcov/drivers" -name "${file%.gcda}.gcno" \
			-exec cp -t "$OUT/objects" {} +
	done
}

main_coverage() {
	local status=0

	cleanup_on_exit
	need_pkgs python3
	run_job "$VM_DIR/check.sh" coverage
	status=$job_status
	collect
	in_root "$OUT:mnt" sh -c 'cd /mnt/objects &&
		gcov --json-format --stdout --branch-probabilities -- *.gcda' \
		>"$OUT/gcov.json"
	"$VM_DIR/coverage_report.py" "$TOP" "$OUT" "$LEAST" || status=1
	exit "$status"
}

main_coverage
