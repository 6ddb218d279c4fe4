#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "vdpa dev add", "dev del", "dev show" and "mgmtdev show".

. "$(dirname "$0")/common.sh"

# Virtio feature bits as "vdpa" wants them: one 64-bit mask.
RO=$((1 << 5))
BLK_SIZE=$((1 << 6))
FLUSH=$((1 << 9))
MQ=$((1 << 12))
GEOMETRY=$((1 << 4))
SECURE_ERASE=$((1 << 16))
SR_IOV=$((1 << 37))
VERSION_1=$((1 << 32))
ACCESS_PLATFORM=$((1 << 33))
BASE=$((VERSION_1 | ACCESS_PLATFORM))

mgmtdev_show_tells_what_it_makes() {
	local out bit
	load
	out=$(vdpa mgmtdev show "$MGMTDEV")
	say "$out"
	echo "$out" | grep -q "supported_classes block" ||
		fail "class is not block"
	echo "$out" | grep -qw "max_supported_vqs 64" ||
		fail "max_supported_vqs is not what a disk can have"
	for bit in VERSION_1 ACCESS_PLATFORM RING_PACKED IN_ORDER; do
		echo "$out" | grep -q "dev_features.*$bit" || fail "no $bit"
	done
}

disks_come_and_go() {
	local out
	load
	disk_add add0
	out=$(vdpa dev show add0)
	say "$out"
	echo "$out" | grep -q "^add0: type block mgmtdev $MGMTDEV " ||
		fail "type or management device is wrong"
	echo "$out" | grep -q "max_vq_size 1024" || fail "max_vq_size is not 1024"
	echo "$out" | grep -Eq "max_vqs [1-9]" || fail "no queues"
	disk_del add0
	! disk_exists add0 || fail "add0 is still there"
	refused "No such device" vdpa dev show add0
	refused "No such device" vdpa dev del add0
}

an_existing_name_is_refused() {
	load
	disk_add add0
	refused "File exists" disk_add add0
	disk_exists add0 || fail "the first disk is gone"
}

a_name_can_be_used_again() {
	local i
	load
	for i in $(seq "$(often 10 3)"); do
		disk_add add0
		disk_del add0
	done
}

# bad_features ERROR FEATURES WHAT: one log line names the disk and the value
bad_features() {
	klog_mark "$3"
	refused "$1" disk_add add0 "$2"
	! disk_exists add0 || fail "the disk is there all the same"
	expect "log lines for $3" 1 "$(klog_count add0)"
	say "$(klog | grep add0)"
	klog | grep add0 | grep -qi "$(printf %x "$2")" ||
		fail "the log line does not name the value $(printf 0x%x "$2")"
}

unsupported_features_are_refused() {
	local error="Operation not supported"
	load
	bad_features "$error" $((BASE | SR_IOV)) "SR-IOV"
	bad_features "$error" $((BASE | GEOMETRY)) "geometry"
	bad_features "$error" $((BASE | SECURE_ERASE)) "secure erase"
}

missing_features_are_refused() {
	local error="Invalid argument"
	load
	bad_features "$error" $((ACCESS_PLATFORM | FLUSH)) "no VERSION_1"
	bad_features "$error" $((VERSION_1 | FLUSH)) "no ACCESS_PLATFORM"
}

few_features_are_enough() {
	local dev
	load
	disk_add add0 $BASE
	dev=$(disk_blk add0)
	expect "block size" 512 "$(blk_attr queue/logical_block_size "$dev")"
	# Without FLUSH there is nothing a client could flush.
	expect "cache" "write through" "$(blk_attr queue/write_cache "$dev")"
	dd if=/dev/zero of="$dev" bs=64k count=4 oflag=direct status=none
}

a_read_only_disk() {
	local dev
	load
	disk_add add0 $((BASE | BLK_SIZE | FLUSH | RO))
	dev=$(disk_blk add0)
	expect "ro" 1 "$(blk_attr ro "$dev")"
	dd if="$dev" of=/dev/null bs=64k count=4 iflag=direct status=none
	if dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none; then
		fail "writing a read-only disk succeeded"
	fi
}

without_mq_one_queue() {
	unload
	load num_queues=4
	disk_add add0 $((BASE | MQ))
	vdpa dev show add0 | grep -q "max_vqs 4 " || fail "with MQ not 4 queues"
	disk_del add0
	disk_add add0 $BASE
	vdpa dev show add0 | grep -q "max_vqs 1 " || fail "without MQ not 1 queue"
	disk_del add0
	unload
}

# What 64 idle disks of 1 TiB take: all they allocate lands in these fields.
kernel_kib() {
	sync
	awk '/^(Slab|KernelStack|PageTables|Percpu|VmallocUsed):/ { n += $2 }
		END { print n }' /proc/meminfo
}

free_kib() {
	awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo
}

idle_disks_of_1_tib_take_little() {
	local i used free n
	n=$(often 64 8)
	unload
	load size=1T
	# Idle is a disk no driver of the bus has.
	autoprobe 0
	# The first one pays for what all of them share.
	disk_add add0
	used=$(kernel_kib)
	free=$(free_kib)
	for i in $(seq "$n"); do
		disk_add "add$i"
	done
	used=$((($(kernel_kib) - used) / n))
	free=$(((free - $(free_kib)) / n))
	say "kernel memory: $used KiB a disk, memory gone: $free KiB a disk"
	expect "disks" $((n + 1)) "$(disks | wc -l)"
	[ "$used" -lt 1024 ] || fail "$used KiB of kernel memory for a disk"
	[ "$free" -lt 1024 ] || fail "$free KiB of memory for a disk"
	for i in $(seq 0 "$n"); do
		disk_del "add$i"
	done
	unload
}

run_cases mgmtdev_show_tells_what_it_makes disks_come_and_go \
	an_existing_name_is_refused a_name_can_be_used_again \
	unsupported_features_are_refused missing_features_are_refused \
	few_features_are_enough a_read_only_disk without_mq_one_queue \
	idle_disks_of_1_tib_take_little
