#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pci_peer.sh: the tests of vdpa_blk_pci on the kernel's own vp_vdpa as well, on
# the same emulated functions with 6.12 in QEMU. Prints a table, in which a
# program of several tests has the number of those that pass; leaves it and all
# output in build/bench/. Takes half an hour: what ends a kernel or hangs it needs
# a new VM for what comes after it.

# shellcheck source-path=SCRIPTDIR source=../vm/build.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/build.sh"

OUT=$TOP/build/bench
TESTS=$TOP/selftests/vdpa_blk
SCRIPTS="pci_bind pci_virtio pci_vhost pci_life pci_guest"
CLIENTS="vhost_pci vhost_setup vhost_lifecycle vhost_rings vhost_layouts"
CLIENTS+=" vhost_bad_clients"

# cases SCRIPT: the names of its cases
cases() {
	sed -n '/^run_cases/,$p' "$TESTS/$1.sh" |
		sed 's/^run_cases//; s/\\$//' | xargs -n 1
}

# in_vm MODULE SCRIPT CASE...: prints what the tests say
in_vm() {
	local env="VDPA_BLK_MODNAME=$1" script=$2

	shift 2
	[ "$env" = VDPA_BLK_MODNAME=vdpa_blk_pci ] ||
		env+=" VDPA_BLK_MODULE=/results/vp_vdpa.ko"
	VM_PCI=1 VM_KERNEL=6.12 VM_TIMEOUT=900 VM_RESULTS=$results \
		"$VM_DIR/vm.sh" "$env ONLY=${*@Q} make -s \
		-C /vdpa-blk/selftests TARGETS=vdpa_blk run_tests \
		TEST_PROGS=$script.sh TEST_GEN_PROGS= \
		TEST_GEN_PROGS_EXTENDED='$CLIENTS'" 2>&1 || true
}

# A line "CASE: VERDICT" for each that came to an end. A program's own tests are
# a level deeper.
# shellcheck disable=SC2016 # awk
verdicts='
/^# # +(not )?ok [0-9]+ disk/ {
	if (/# *SKIP/)
		next
	n++
	if (!/not ok/)
		ok++
	next
}
/^# (not )?ok [0-9]+ / {
	verdict = /^# not ok/ ? "FAIL" : /# *SKIP/ ? "-" : "pass"
	name = $0
	sub(/^# (not )?ok [0-9]+ -? */, "", name)
	sub(/ *#.*/, "", name)
	gsub(/ /, "_", name)
	if (n)
		verdict = ok + 0 " of " n
	print name ": " verdict
	n = ok = 0
}'

# run_script MODULE SCRIPT: the first case without a verdict ended its VM
run_script() {
	local todo log=$OUT/pci-$1.log found=$OUT/pci-$1.found new

	mapfile -t todo < <(cases "$2")
	while [ "${#todo[@]}" -gt 0 ]; do
		log "$1: $2, ${#todo[@]} cases ..."
		in_vm "$1" "$2" "${todo[@]}" >"$results/log"
		cat "$results/log" >>"$log"
		new=$(awk "$verdicts" "$results/log")
		grep . <<<"$new" >>"$found" || true
		todo=("${todo[@]:$(grep -c . <<<"$new")}")
		[ "${#todo[@]}" -gt 0 ] || break
		echo "${todo[0]}: kernel died or hung" >>"$found"
		todo=("${todo[@]:1}")
	done
}

table() {
	local script name

	printf '%-58s %-22s %s\n' "case" vdpa_blk_pci vp_vdpa
	for script in $SCRIPTS; do
		for name in $(cases "$script"); do
			printf '%-58s %-22s %s\n' "$script: ${name//_/ }" \
				"$(verdict_of vdpa_blk_pci "$name")" \
				"$(verdict_of vp_vdpa "$name")"
		done
	done
}

verdict_of() {
	sed -n "s/^$2: //p" "$OUT/pci-$1.found"
}

main_peer() {
	local module script

	cleanup_on_exit
	mkdir -p "$OUT"
	results=$(mktemp -d)
	scratch+=("$results")
	cp "$("$TOP/selftests/bench/peers.sh" 6.12)/vp_vdpa.ko" "$results/"
	for module in vdpa_blk_pci vp_vdpa; do
		rm -f "$OUT/pci-$module.log" "$OUT/pci-$module.found"
		for script in $SCRIPTS; do
			run_script "$module" "$script"
		done
	done
	table | tee "$OUT/pci-peer.txt"
}

main_peer
exit
