#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of growth.sh that runs in the VM. Batches overlap, so that workers
# do not sleep in between: waking them is no part of this.

# shellcheck source-path=SCRIPTDIR source=vm-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/vm-lib.sh"

configfs=/sys/kernel/config/vdpa_blk_sim
# Maps of the client come one by one, not a whole table for each.
SIM_BATCH_MAPPING=0

# described NAME ATTRIBUTE=VALUE...: a disk made of a description
described() {
	local name=$1 attr

	shift
	mkdir "$configfs/$name"
	for attr in "$@"; do
		echo "${attr#*=}" >"$configfs/$name/${attr%%=*}"
	done
	disk_add "$name"
}

described_del() {
	disk_del "$1"
	rmdir "$configfs/$1"
}

# ---- address lookup -------------------------------------------------------

# ranges CONTENDER NUMBER: header, data and status of each request lie in
# different ones.
ranges() {
	contender_load "$1"
	disk_add bench0
	client part=growth "contender=$1" "also=ranges:$2" "ranges=$2" "pool=$POOL" \
		rw=read bs=512,4096 batch=32 depth=2 "seed=$RANDOM"
	disk_del bench0
	contender_unload
}

# ---- ring size and segments -----------------------------------------------

# ring CONTENDER ENTRIES: as many requests in flight in all of them.
ring() {
	contender_load "$1"
	disk_add bench0
	client part=growth "contender=$1" "also=ring:$2" "ring=$2" \
		indirect=1 rw=read bs=512 batch=4 depth=2 "seed=$RANDOM"
	disk_del bench0
	contender_unload
}

segments() {
	contender_load "$1"
	disk_add bench0
	client part=growth "contender=$1" indirect=1 rw=read bs=512 \
		segs=1,2,8,32,128,254 batch=8 depth=2 "seed=$RANDOM"
	disk_del bench0
	contender_unload
}

# ---- many disks -----------------------------------------------------------

# KiB the kernel has allocated for itself. Not what is free: that comes and goes
# with the lists of free pages that each CPU keeps.
kernel_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	# What is freed after a grace period is freed by then, mostly.
	sleep 0.5
	awk '/^(Slab|KernelStack|VmallocUsed|Percpu|PageTables):/ { sum += $2 }
		END { print sum }' /proc/meminfo
}

# per WHAT BEFORE AFTER NUMBER: KiB taken for each
per() {
	awk -v before="$1" -v after="$2" -v n="$3" \
		'BEGIN { printf "%.3f\n", (after - before) / n }'
}

# disks CONTENDER NUMBER: memory of those that idle, time of the one that
# does not.
disks() {
	local before after i

	contender_load "$1"
	before=$(kernel_memory)
	for ((i = 1; i <= $2; i++)); do
		disk_add "bench$i"
	done
	after=$(kernel_memory)
	# Memory comes in pieces that are larger than a disk.
	[ "$2" -eq 1 ] ||
		value growth "$1" "KiB per idle disk" KiB "\"disks\":$2" \
			"$(per "$before" "$after" "$2")"
	client part=growth "contender=$1" "also=disks:$2" rw=read bs=4096 \
		batch=32 depth=2 "seed=$RANDOM"
	for ((i = 1; i <= $2; i++)); do
		disk_del "bench$i"
	done
	contender_unload
}

# Disks that differ in their number of queues only.
queues() {
	local before after disks=8 n i used=()

	contender_load "$1"
	for n in 1 33; do
		before=$(kernel_memory)
		for ((i = 0; i < disks; i++)); do
			described "bench$i" num_queues=$n
		done
		after=$(kernel_memory)
		used+=("$((after - before))")
		for ((i = 0; i < disks; i++)); do
			described_del "bench$i"
		done
	done
	value growth "$1" "KiB per queue" KiB '' \
		"$(per "${used[0]}" "${used[1]}" $((32 * disks)))"
	contender_unload
}

# A client that has started its ring and goes no further.
held_client() {
	"$CLIENT" "$node" ms=600000 batch=8 "ring=$1" >/tmp/held &
	held+=("$!")
	timeout 20 sh -c 'until grep -q IOTLB /tmp/held; do sleep 0.05; done'
	kill -STOP "$!"
	rm /tmp/held
}

# Rings that differ in their size only, of a backend that has requests in
# flight.
slots() {
	local before after disks=8 n i used=() held

	contender_load "$1"
	# All of its memory is taken at once.
	modprobe brd rd_nr=$disks rd_size=$((40 << 10))
	for ((i = 0; i < disks; i++)); do
		dd if=/dev/zero of=/dev/ram$i bs=1M count=40 oflag=direct \
			status=none
	done
	for n in 64 1024; do
		held=()
		before=$(kernel_memory)
		for ((i = 0; i < disks; i++)); do
			described "bench$i" "path=/dev/ram$i"
			held_client "$n"
		done
		after=$(kernel_memory)
		used+=("$((after - before))")
		kill -KILL "${held[@]}"
		wait "${held[@]}" 2>/dev/null || true
		for ((i = 0; i < disks; i++)); do
			described_del "bench$i"
		done
	done
	value growth "$1" "KiB per request slot" KiB '' \
		"$(per "${used[0]}" "${used[1]}" $((960 * disks)))"
	modprobe -r brd
	contender_unload
}

# ---------------------------------------------------------------------------

bench_setup
jobs=()
for n in 1 64 2048 1048576; do
	jobs+=("ranges ours-ram $n" "ranges vdpa_sim_blk-va0 $n")
done
for n in 8 16 32 64 128 256 512 1024; do
	jobs+=("ring ours-ram $n")
done
for n in 1 8 64; do
	jobs+=("disks ours-ram $n")
done
jobs+=("segments ours-ram" "queues ours-ram" "slots ours-ram")

for ((round = 1; round <= ROUNDS; round++)); do
	shuffle "${jobs[@]}"
	echo "round $round"
	for job in "${shuffled[@]}"; do
		start=$SECONDS
		# shellcheck disable=SC2086 # words
		$job
		echo "$job ($((SECONDS - start)) s)"
	done
done
