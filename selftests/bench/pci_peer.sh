#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pci_peer.sh: the tests of vdpa_blk_pci on the kernel's own vp_vdpa, on the same
# emulated functions with 6.12 in QEMU, as a table next to what "check.sh pci" said
# last. A case that is a program has the number of its tests that pass. What ends
# or hangs the kernel needs a new VM for the cases after it: half an hour.

# shellcheck source-path=SCRIPTDIR source=../vm/build.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/build.sh"

OURS=$TOP/build/check/pci.log
OUT=$TOP/build/bench
TESTS=$TOP/selftests/vdpa_blk

# cases SCRIPT: the names of its cases
cases() {
	sed -n '/^run_cases/,$p' "$TESTS/$1.sh" |
		sed 's/^run_cases//; s/\\$//' | xargs -n 1
}

# in_vm SCRIPT CASE...
in_vm() {
	local script=/vdpa-blk/selftests/vdpa_blk/$1.sh

	shift
	VM_PCI=1 VM_KERNEL=6.12 VM_TIMEOUT=900 VM_RESULTS=$results \
		VM_APPEND="sysctl.kernel.hung_task_timeout_secs=30 \
			sysctl.kernel.hung_task_panic=1" \
		"$VM_DIR/vm.sh" "VDPA_BLK_MODNAME=vp_vdpa \
		VDPA_BLK_MODULE=/results/vp_vdpa.ko $script ${*@Q}" 2>&1 || true
}

# A line "CASE VERDICT" for each that came to an end. A program's own tests are a
# level deeper.
# shellcheck disable=SC2016 # awk
verdicts='
/^# (not )?ok [0-9]+ disk/ {
	if (!/# *SKIP/) {
		n++
		ok += !/not ok/
	}
	next
}
/^(not )?ok [0-9]+ / {
	verdict = /^not ok/ ? "FAIL" : /# *SKIP/ ? "-" : "pass"
	name = $0
	sub(/^(not )?ok [0-9]+ -? */, "", name)
	sub(/ *#.*/, "", name)
	gsub(/ /, "_", name)
	print name, n && (ok < n || verdict == "pass") ? ok " of " n : verdict
	n = ok = 0
}'

# run_script SCRIPT: the first case without a verdict ended its VM
run_script() {
	local todo new

	mapfile -t todo < <(cases "$1")
	while [ "${#todo[@]}" -gt 0 ]; do
		log "$1: ${#todo[@]} cases ..."
		in_vm "$1" "${todo[@]}" >"$results/log"
		cat "$results/log" >>"$OUT/pci-peer.log"
		new=$(tr -d '\r' <"$results/log" | awk "$verdicts")
		todo=("${todo[@]:$(grep -c . <<<"$new" || true)}")
		if [ "${#todo[@]}" -gt 0 ]; then
			new+=$'\n'"${todo[0]} kernel died or hung"
			todo=("${todo[@]:1}")
		fi
		grep . <<<"$new" >>"$results/peer" || true
	done
}

table() {
	local script name

	printf '%-66s %-14s %s\n' case vdpa_blk_pci vp_vdpa
	for script in "$@"; do
		for name in $(cases "$script"); do
			printf '%-66s %-14s %s\n' "$script: ${name//_/ }" \
				"$(sed -n "s/^$name //p" "$results/ours")" \
				"$(sed -n "s/^$name //p" "$results/peer")"
		done
	done
}

main_peer() {
	local script

	[ -r "$OURS" ] || die "no $OURS: run selftests/vm/check.sh pci first"
	cleanup_on_exit
	mkdir -p "$OUT"
	results=$(mktemp -d)
	scratch+=("$results")
	cp "$("$TOP/selftests/bench/peers.sh" 6.12)/vp_vdpa.ko" "$results/"
	sed 's/^# //' "$OURS" | tr -d '\r' | awk "$verdicts" >"$results/ours"
	rm -f "$OUT/pci-peer.log"
	for script in "$@"; do
		run_script "$script"
	done
	table "$@" | tee "$OUT/pci-peer.txt"
}

[ $# -gt 0 ] || set -- pci_bind pci_virtio pci_vhost pci_life pci_guest
main_peer "$@"
exit
