#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Discard gives memory back, write zeroes writes zeroes.

. "$(dirname "$0")/common.sh"

MIB=$(often 32 16)
# What the rest of the system may move meanwhile.
SLACK=6

# Free memory, with the pages each CPU keeps at hand (MemFree is without them,
# and they are many after a disk was freed).
free_now() {
	awk '/^ *pages free/ { n += $3 } $1 == "count:" { n += $2 }
		END { print int(n / 256) }' /proc/zoneinfo
}

# The same once it has stopped growing: discarded pages are freed in batches.
free_mib() {
	local now last=0
	echo 1 > /proc/sys/vm/drop_caches
	while now=$(free_now); [ "$now" -gt "$last" ]; do
		last=$now
		sleep 0.1
	done
	echo "$now"
}

# took BEFORE: the memory the disk took since then
took() {
	echo $(($1 - $(free_mib)))
}

filled() {
	[ "$1" -ge $((MIB - SLACK)) ]
}

empty() {
	[ "$1" -le $SLACK ]
}

fill() {
	tr '\0' 'd' < /dev/zero | dd of="$1" bs=1M count="$MIB" \
		iflag=fullblock oflag=direct status=none
}

all_zero() {
	cmp -n $((MIB << 20)) "$1" /dev/zero
}

a_disk() {
	need_mem $((MIB * 4))
	need blkdiscard
	load
	disk_add dis0
	DEV=$(disk_blk dis0)
	BEFORE=$(free_mib)
	fill "$DEV"
	FULL=$(took "$BEFORE")
	say "a written disk takes $FULL MiB for $MIB MiB"
	filled "$FULL" || fail "$FULL MiB: writing took no memory"
}

a_new_disk_reads_zeroes() {
	load
	disk_add dis0
	DEV=$(disk_blk dis0)
	all_zero "$DEV"
}

reading_takes_no_memory() {
	local before got
	load
	disk_add dis0
	DEV=$(disk_blk dis0)
	before=$(free_mib)
	dd if="$DEV" of=/dev/null bs=1M count="$MIB" iflag=direct status=none
	got=$(took "$before")
	empty "$got" || fail "reading $MIB MiB took $got MiB"
}

discard_frees_memory() {
	local got
	a_disk
	blkdiscard -o 0 -l $((MIB << 20)) "$DEV"
	got=$(took "$BEFORE")
	say "after the discard $got MiB"
	empty "$got" || fail "$got MiB are still taken"
	all_zero "$DEV"
}

# Partial pages at either end are zeroed, their other halves stay.
an_odd_discard_keeps_its_neighbours() {
	local from=3584 len=$(((MIB << 20) - 3584 - 5120))
	a_disk
	blkdiscard -o $from -l $len "$DEV"
	expect "bytes kept before it" $from "$(head -c $from "$DEV" |
		tr -dc d | wc -c)"
	cmp -n $len -i $from:0 "$DEV" /dev/zero
	expect "bytes kept behind it" 5120 "$(dd if="$DEV" bs=5120 count=1 \
		skip=$((from + len)) iflag=skip_bytes status=none |
		tr -dc d | wc -c)"
}

write_zeroes_reads_zeroes() {
	a_disk
	blkdiscard -z -o 0 -l $((MIB << 20)) "$DEV"
	all_zero "$DEV"
}

deleting_the_disk_frees_memory() {
	local got
	a_disk
	disk_del dis0
	got=$(took "$BEFORE")
	empty "$got" || fail "$got MiB are still taken"
}

fstrim_on_ext4() {
	local mnt=$TMP/mnt got before
	need mkfs.ext4 fstrim
	need_mem $((MIB * 4))
	load
	disk_add dis0
	DEV=$(disk_blk dis0)
	mkfs.ext4 -q -F -O ^has_journal "$DEV"
	mount_at "$mnt" -t ext4 "$DEV"
	before=$(free_mib)
	fill "$mnt/file"
	sync
	filled "$(took "$before")" || fail "the file took no memory"
	rm "$mnt/file"
	sync
	fstrim -v "$mnt"
	got=$(took "$before")
	say "after fstrim $got MiB"
	empty "$got" || fail "$got MiB are still taken"
	unmount "$mnt"
}

run_cases a_new_disk_reads_zeroes reading_takes_no_memory \
	discard_frees_memory an_odd_discard_keeps_its_neighbours \
	write_zeroes_reads_zeroes deleting_the_disk_frees_memory fstrim_on_ext4
