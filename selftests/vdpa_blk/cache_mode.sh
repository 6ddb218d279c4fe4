#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Write back and write through, as the backing sees them. A loop device has a
# write cache and no FUA: there a write with FUA is a write and a flush.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

BASE=$((1 << 32 | 1 << 33))

# on_loop [ATTR=VALUE...]
on_loop() {
	load
	back_loop 32
	LOOP=$BACKING
	disk_on mode0 "$BACKING" "$@"
	DEV=$(disk_blk mode0)
}

cache_type() {
	blk_attr cache_type "$DEV"
}

switch_to() {
	echo "$1" > "/sys/block/${DEV##*/}/cache_type"
	expect "cache type" "$1" "$(cache_type)"
}

# loop_stat: writes and flushes of the loop device
loop_stat() {
	blk_attr stat "$LOOP" | awk '{ print $5, $16 }'
}

flushes() {
	local n
	n=$(loop_stat)
	echo "${n#* }"
}

# writes N [DD-ARG...]: one after the other
writes() {
	dd if=/dev/zero of="$DEV" bs=4k count="$1" oflag=direct conv=notrunc \
		status=none "${@:2}"
}

writes_bring_flushes() {
	local n
	n=$(flushes)
	writes 8
	expect "flushes of 8 writes" 8 $(($(flushes) - n))
}

only_fsync_brings_a_flush() {
	local n
	n=$(flushes)
	writes 8
	expect "flushes of 8 writes" 0 $(($(flushes) - n))
	writes 8 conv=notrunc,fsync
	expect "flushes of fsync" 1 $(($(flushes) - n))
}

write_cache_1() {
	on_loop write_cache=1
	expect "cache type" "write back" "$(cache_type)"
	only_fsync_brings_a_flush
}

write_cache_0() {
	on_loop write_cache=0
	expect "cache type" "write through" "$(cache_type)"
	writes_bring_flushes
}

a_driver_without_flush() {
	load
	back_loop 32
	LOOP=$BACKING
	desc_add mode0 "path=$BACKING" write_cache=1
	disk_add mode0 $BASE
	DEV=$(disk_blk mode0)
	expect "cache type" "write through" "$(cache_type)"
	writes_bring_flushes
}

the_guest_switches() {
	on_loop
	switch_to "write through"
	writes_bring_flushes
	switch_to "write back"
	only_fsync_brings_a_flush
	switch_to "write through"
	writes_bring_flushes
}

a_reset_forgets_the_switch() {
	on_loop write_cache=1
	switch_to "write through"
	disk_unbind mode0
	DEV=$(disk_blk mode0)
	expect "cache type" "write back" "$(cache_type)"
	only_fsync_brings_a_flush
}

zeroes_and_discards_last_too() {
	local n
	need blkdiscard
	on_loop
	n=$(flushes)
	blkdiscard -q -f -z -l 64k "$DEV"
	blkdiscard -q -f -l 64k "$DEV"
	expect "flushes with write back" "$n" "$(flushes)"
	switch_to "write through"
	n=$(flushes)
	blkdiscard -q -f -z -l 64k "$DEV"
	[ "$(flushes)" -gt "$n" ] || fail "zeroes brought no flush"
	n=$(flushes)
	blkdiscard -q -f -l 64k "$DEV"
	[ "$(flushes)" -gt "$n" ] || fail "a discard brought no flush"
}

write_for_ever() {
	while :; do
		writes 1000
	done
}

# more_writes N: since then there were N more in the loop device
more_writes() {
	local now
	now=$(loop_stat)
	[ $((${now% *} - ${THEN% *})) -ge "$1" ]
}

# under_load: of at least 50 writes, sets WRITES and FLUSHES
under_load() {
	local now
	THEN=$(loop_stat)
	wait_for 60 more_writes 50 || fail "no load"
	now=$(loop_stat)
	WRITES=$((${now% *} - ${THEN% *}))
	FLUSHES=$((${now#* } - ${THEN#* }))
	say "$(cache_type): $WRITES writes, $FLUSHES flushes"
}

# One request may be on its way when the switch comes, and one when we look.
at_once_in_the_middle_of_a_load() {
	local i
	on_loop
	background write_for_ever
	for i in 1 2 3; do
		under_load
		[ "$FLUSHES" -le 2 ] || fail "$FLUSHES flushes with write back"
		switch_to "write through"
		under_load
		[ "$FLUSHES" -ge $((WRITES - 2)) ] ||
			fail "$FLUSHES flushes of $WRITES writes"
		switch_to "write back"
	done
}

# A commit of the file system's journal is a flush as well: none by itself.
a_file() {
	local n
	load
	back_file ext4 16 48
	mount -o remount,commit=600 "$BACKING_MNT"
	LOOP=/dev/$(basename "$(readlink -f \
		"/sys/dev/block/$(stat -c %Hd:%Ld "$BACKING")")")
	disk_on mode0 "$BACKING" "$@"
	DEV=$(disk_blk mode0)
	# Allocates the blocks.
	writes 16 conv=notrunc,fsync
	sync -f "$BACKING_MNT"
	n=$(flushes)
	writes 8
	expect "flushes of 8 writes" 0 $(($(flushes) - n))
	blockdev --flushbufs "$DEV"
	writes 1 conv=notrunc,fsync
	[ "$(flushes)" -gt "$n" ] || fail "fsync brought no flush"
	switch_to "write through"
	n=$(flushes)
	writes 8
	[ $(($(flushes) - n)) -ge 8 ] ||
		fail "$(($(flushes) - n)) flushes of 8 writes"
}

a_file_with_the_page_cache() {
	a_file direct_io=0
}

TRACING=/sys/kernel/tracing/instances/vdpa_blk_mode

# traced REGEX: lines of the trace
traced() {
	grep -Ec "$1" "$TRACING/trace" || :
}

a_write_carries_fua() {
	local dev
	on_loop
	dev=$(cat "/sys/block/${LOOP##*/}/dev")
	[ -d "${TRACING%/*}" ] || skip "no tracefs"
	mkdir "$TRACING"
	at_end rmdir "$TRACING"
	echo 1 > "$TRACING/events/block/block_bio_queue/enable"
	writes 8
	expect "writes with write back" 8 "$(traced " ${dev/:/,} WS ")"
	switch_to "write through"
	writes 8
	expect "writes with FUA" 8 "$(traced " ${dev/:/,} WFS ")"
	expect "writes without" 8 "$(traced " ${dev/:/,} WS ")"
	echo 0 > "$TRACING/events/enable"
}

run_cases write_cache_1 write_cache_0 a_driver_without_flush \
	the_guest_switches a_reset_forgets_the_switch \
	zeroes_and_discards_last_too at_once_in_the_middle_of_a_load a_file \
	a_file_with_the_page_cache a_write_carries_fua
