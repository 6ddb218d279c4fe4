#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of native.sh that runs in the VM.

# shellcheck source-path=SCRIPTDIR source=vm-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/vm-lib.sh"

# name:queues; the kernel's own has one queue. With use_va it works on the
# client's addresses, without on pinned pages as ours does.
CONTENDERS="ours-ram:1 ours-ram:2 vdpa_sim_blk-va0:1 vdpa_sim_blk-va1:1"

# A client that does not see a request fail, or get lost, measures nothing.
# bad_disk ATTRIBUTE VALUE
bad_disk() {
	contender_load ours-ram
	mkdir /sys/kernel/config/vdpa_blk_sim/bad
	echo "$2" >"/sys/kernel/config/vdpa_blk_sim/bad/$1"
	disk_add bad
}

bad_disk_del() {
	disk_del bad
	rmdir /sys/kernel/config/vdpa_blk_sim/bad
	contender_unload
}

client_sees_failure() {
	local status=0

	bad_disk badblocks "8 8"
	"$CLIENT" "$node" ms=1 >/tmp/said || status=$?
	bad_disk_del
	[ "$status" -eq 1 ] && grep -q 'status 1, expected 0' /tmp/said
}

# The device below is stopped, so that nothing comes back.
client_sees_loss() {
	local status=0 pid

	modprobe brd rd_nr=1 rd_size=65536
	# Without udev the nodes are the tool's.
	export DM_DISABLE_UDEV=1
	dmsetup create slow --table "0 131072 linear /dev/ram0 0"
	bad_disk path /dev/mapper/slow
	dmsetup suspend --nolockfs slow
	VDPA_BLK_TIMEOUT_MS=200 "$CLIENT" "$node" ms=1 >/tmp/said &
	pid=$!
	# It cannot end before its requests do.
	timeout 20 sh -c 'until grep -q LOST /tmp/said; do sleep 0.1; done' ||
		status=2
	dmsetup resume slow
	wait "$pid" || status=$((status + $?))
	bad_disk_del
	dmsetup remove slow
	modprobe -r brd
	[ "$status" -eq 1 ]
}

check_client() {
	local what

	for what in client_sees_failure client_sees_loss; do
		if ! "$what"; then
			echo "${what//_/ }: it does not" >&2
			return 1
		fi
	done
}

# one NAME QUEUES SEED
one() {
	contender_load "$1"
	disk_add bench0
	client part=native "contender=$1" "queues=$2" "seed=$3" ms=40 \
		rw=read,write bs=512,4096,65536 batch=1,8,32,80 depth=1,2
	disk_del bench0
	contender_unload
}

bench_setup
check_client
for ((round = 1; round <= ROUNDS; round++)); do
	# shellcheck disable=SC2086 # a list
	shuffle $CONTENDERS
	echo "round $round: ${shuffled[*]}"
	for c in "${shuffled[@]}"; do
		one "${c%:*}" "${c#*:}" "$RANDOM"
	done
done
