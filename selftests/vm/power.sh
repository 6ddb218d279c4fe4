#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# power.sh: power cuts. User-mode Linux, with disks at work, is killed at a random
# moment, POWER_CUTS times (default 100). Each time all that was acknowledged as
# durable has to be there. At the end once more with flushes dropped on their
# way, and data has to be lost. Writes KTAP. SEED= repeats the moments.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

CUTS=${POWER_CUTS:-100}
SEED=${SEED:-$RANDOM}
DISKS="device blocks4k file buffered through bufthrough"
# What is waited for at most, in tenths of a second.
BOOT_LIMIT=1200

cases=0
failures=0

# result NAME COMMAND...: which says whether it is well
result() {
	local name=$1

	shift
	cases=$((cases + 1))
	if "$@"; then
		echo "# ok $cases $name"
	else
		echo "# not ok $cases $name"
		failures=$((failures + 1))
	fi
}

give_up() {
	echo "# $*"
	sed 's/^/#   /' "$dir/output" | tail -n 60
	result "power cuts" false
	echo "not ok 1 power"
	exit 1
}

# kill_vm: it has no time to do anything about it
kill_vm() {
	kill -KILL "$(cat "$dir/uml/vm/pid")"
}

# cut keep|drop: up to its end, by force
cut() {
	local vm i status=0

	rm -f "$dir"/results/{at-work,failed}
	VM_KERNEL=uml VM_DISK=$dir/disk VM_RESULTS=$dir/results \
		VM_ARGS="uml_dir=$dir/uml" VM_TIMEOUT=300 \
		"$VM_DIR/vm.sh" "/vdpa-blk/selftests/vm/power-guest.sh $1" \
		>"$dir/output" 2>&1 </dev/null &
	vm=$!
	job=$vm
	for ((i = 0; i < BOOT_LIMIT; i++)); do
		[ ! -e "$dir/results/at-work" ] || break
		kill -0 $vm 2>/dev/null || give_up "the VM has ended"
		sleep 0.1
	done
	[ -e "$dir/results/at-work" ] || give_up "the VM does not get to work"
	sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
	kill_vm || give_up "the VM has ended"
	wait $vm || status=$?
	job=
	[ ! -e "$dir/results/failed" ] || give_up "$(cat "$dir/results/failed")"
	if [ "$status" -ne 99 ] ||
		grep -q "the kernel complained" "$dir/output"; then
		give_up "the VM was not well before it was killed: $status"
	fi
}

# What the VM said last time it looked, of one disk.
said() {
	cat "$dir/results/$1.check"
}

declare -A blocks later lost

# The disks as the cut before left them.
look() {
	local disk n

	for disk in $DISKS; do
		n=$(said "$disk" | sed -n 's/ blocks acknowledged.*//p')
		blocks[$disk]=$((${blocks[$disk]:-0} + n))
		n=$(said "$disk" | sed -n 's/.*, \([0-9]*\) from later.*/\1/p')
		later[$disk]=$((${later[$disk]:-0} + n))
		[ "$(said "$disk" | tail -n 1)" != "status 0" ] || continue
		echo "# $disk, after cut $1:"
		said "$disk" | sed 's/^/#   /'
		lost[$disk]=yes
	done
}

# kept DISK: and there was something to keep
kept() {
	[ -z "${lost[$1]:-}" ] && [ "${blocks[$1]}" -gt 0 ]
}

was_lost() {
	[ -n "${lost[$1]:-}" ]
}

result_of_all() {
	if [ "$failures" -gt 0 ]; then
		echo "not ok 1 power"
		return 1
	fi
	echo "ok 1 power"
}

main_power() {
	local i disk

	need_pkgs e2fsprogs
	cleanup_on_exit
	dir=$(mktemp -d "${TMPDIR:-/tmp}/vdpa-blk-power.XXXXXX")
	scratch+=("$dir")
	mkdir "$dir/results" "$dir/uml"
	truncate -s 512M "$dir/disk"
	mkfs.ext4 -q -F "$dir/disk"
	RANDOM=$SEED
	# Not in the time that a VM has to boot.
	run_job "$VM_DIR/build.sh" uml
	[ "$job_status" -eq 0 ] || exit "$job_status"
	echo "# $CUTS power cuts, SEED=$SEED"
	for ((i = 0; i < CUTS; i++)); do
		cut keep
		look "$i"
	done
	# It looks what the last of them has left, before it drops flushes.
	cut drop
	look "$CUTS"
	for disk in $DISKS; do
		echo "# $disk: ${blocks[$disk]} acknowledged blocks, ${later[$disk]} sectors of later writes"
		result "nothing is lost: $disk" kept "$disk"
	done

	lost=()
	cut keep
	look "the one without flushes" >"$dir/without"
	for disk in $DISKS; do
		grep -A 3 "^# $disk," "$dir/without" || true
		result "it shows when flushes are dropped: $disk" was_lost "$disk"
	done

	result_of_all
}

main_power
