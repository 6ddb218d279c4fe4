#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# soak.sh: all kinds of clients on several disks at once for SOAK_TIME seconds
# (default 600), in user-mode Linux or what VM_KERNEL says; soak-vm.sh is what
# they do. In build/soak: soak.csv, report.md, soak.svg. Fails when a client does,
# and when the figures are not flat by the rule of soak_report.py.

# shellcheck source-path=SCRIPTDIR source=../vm/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/common.sh"

SOAK_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOAK_TIME=${SOAK_TIME:-600}
SEED=${SEED:-$RANDOM}
OUT=$TOP/build/soak

main_soak() {
	[[ $SOAK_TIME =~ ^[0-9]+$ && $SOAK_TIME -ge 60 ]] ||
		die "SOAK_TIME=$SOAK_TIME: at least 60 seconds"
	cleanup_on_exit
	need_pkgs python3 python3-matplotlib
	mkdir -p "$OUT"
	rm -f "$OUT"/*
	log "soak: $SOAK_TIME s, SEED=$SEED"
	run_job env VM_KERNEL="${VM_KERNEL:-uml}" VM_RESULTS="$OUT" \
		VM_CONSOLE="$OUT/console" VM_TIMEOUT=$((SOAK_TIME + 600)) "$VM_DIR/vm.sh" \
		"SOAK_TIME=$SOAK_TIME SEED=$SEED /vdpa-blk/selftests/soak/soak-vm.sh"
	[ "$job_status" -eq 0 ] || die "a client failed ($job_status), SEED=$SEED"
	run_job "$SOAK_DIR/soak_report.py" "$OUT"
	exit "$job_status"
}

main_soak
