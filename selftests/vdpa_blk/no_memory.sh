#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A disk larger than the memory: writes that no memory is left for fail, and
# nobody else pays for it.

. "$(dirname "$0")/common.sh"

# What is left for the disk, beyond the share it leaves to everyone else.
ROOM=64

# hog: takes all memory but a little, so that little is to be written
hog() {
	local mib
	echo 3 > /proc/sys/vm/drop_caches
	mib=$(($(mem_mib MemAvailable) - ROOM - $(mem_mib MemTotal) / 32))
	[ "$mib" -gt 0 ] || skip "less than $ROOM MiB of free memory"
	# Huge pages, where there are some, are taken much faster.
	mount_at "$TMP/hog" -t tmpfs -o "size=${mib}M,huge=always" none \
		2> /dev/null ||
		mount_at "$TMP/hog" -t tmpfs -o "size=${mib}M" none
	fallocate -l "${mib}M" "$TMP/hog/file"
	say "$mib MiB set aside, $(mem_mib MemAvailable) MiB left"
}

# Available memory in MiB, with the free pages that CPUs keep to themselves,
# which the kernel leaves out.
free_mib() {
	local pages
	pages=$(awk '$1 == "count:" { n += $2 } END { print n + 0 }' \
		/proc/zoneinfo)
	echo $(($(mem_mib MemAvailable) + pages / 256))
}

# memory_back BEFORE: at least half of what was written is free again
memory_back() {
	[ $(($1 - $(free_mib))) -le $((FILLED / 2)) ]
}

# fill DEV: writes until the first error, which has to be EIO
fill() {
	if tr '\0' 'm' < /dev/zero | dd of="$1" bs=1M iflag=fullblock \
		oflag=direct 2> "$TMP/dd"; then
		fail "a disk of twice the memory could be filled"
	fi
	say "$(tail -n 1 "$TMP/dd")"
	grep -q "Input/output error" "$TMP/dd" || fail "$(head -n 1 "$TMP/dd")"
	FILLED=$(awk '/records out/ { sub(/\+.*/, ""); print }' "$TMP/dd")
	[ "$FILLED" -ge $((ROOM / 4)) ] ||
		fail "only $FILLED MiB could be written"
}

writes_beyond_memory_fail_with_eio() {
	local big other before pid

	need fallocate
	unload
	load "size=$(($(mem_mib MemTotal) * 2))M"
	disk_add nomem0
	big=$(disk_blk nomem0)
	disk_add nomem1
	other=$(disk_blk nomem1)
	tr '\0' 'o' < /dev/zero | dd of="$other" bs=1M count=8 \
		iflag=fullblock oflag=direct status=none
	background sleep 600
	pid=$BG_PID
	hog
	before=$(free_mib)
	fill "$big"

	# What was written is there and can be written again.
	dd if="$big" bs=1M count="$FILLED" iflag=direct status=none |
		tr -d m | cmp - /dev/null
	dd if=/dev/zero of="$big" bs=1M count=1 oflag=direct status=none

	# Everybody else goes on.
	kill -0 "$pid" || fail "another process was killed"
	dd if="$other" bs=1M count=8 iflag=direct status=none |
		tr -d o | cmp - /dev/null
	tr '\0' 'p' < /dev/zero | dd of="$other" bs=1M count=8 \
		iflag=fullblock oflag=direct status=none

	# A discard makes room, if not at once: pages go after a grace period.
	blkdiscard "$big"
	wait_for 60 dd if=/dev/zero of="$big" bs=1M count=8 oflag=direct \
		status=none || fail "no room after a discard"

	disk_del nomem0
	wait_for 60 memory_back "$before" ||
		fail "the memory is not back: $before MiB before, $(free_mib) now"
	dd if=/dev/zero of="$other" bs=1M count=16 seek=8 oflag=direct status=none
	unmount "$TMP/hog"
	disk_del nomem1
	unload
}

run_cases writes_beyond_memory_fail_with_eio
