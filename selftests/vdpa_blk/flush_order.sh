#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nothing that a disk has acknowledged as durable is lost by a power cut: by a
# flush, or by the end of a write where the write cache is off. dm-log-writes
# below the disk records what reached the device in which order, and
# log_writes_check.c does the power cuts.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

MIB=48
LOG_MIB=192
CHECK=$HERE/log_writes_check

# log_device [LOSETUP-ARG...]: a device with a log; sets LOG. It is on a loop
# device: that has a write cache, so that flushes get as far as here.
log_device() {
	[ -x "$CHECK" ] || skip "log_writes_check is not built"
	need dmsetup
	need_module dm-log-writes
	load
	back_loop $LOG_MIB
	LOG=$BACKING
	back_loop $MIB "$@"
	dm_add vbslog "0 $((MIB << 11)) log-writes $BACKING $LOG"
	expect "write cache of the device" "write back" "$(cat \
		"/sys/dev/block/$(dm info -c --noheadings --separator : \
		-o major,minor vbslog)/queue/write_cache")"
	EXTENTS=()
	WITH=zeroes
}

# Its blocks are all written, so that they stay where they are. Not with zeroes,
# which mean something here.
log_file() {
	log_device "$@"
	back_fs ext4 "$BACKING"
	BACKING=$BACKING_MNT/disk
	tr '\0' x < /dev/zero | dd of="$BACKING" bs=1M count=16 \
		iflag=fullblock conv=fsync status=none
	"$CHECK" extents "$BACKING" > "$TMP/extents"
	EXTENTS=(-x "$TMP/extents")
	# A file's blocks move when they are zeroed.
	WITH=
}

# disk_at_work fsync|write [ATTR=VALUE...]: leaves the log
disk_at_work() {
	local how=$1
	shift
	desc_add log0 "path=$BACKING" "$@"
	disk_add log0 "${FEATURES:-}"
	DEV=$(disk_blk log0)
	[ -z "${CACHE_TYPE:-}" ] ||
		echo "$CACHE_TYPE" > "/sys/block/${DEV##*/}/cache_type"
	"$CHECK" load "$DEV" vbslog "$TMP/acked" "$how" "$WITH"
	expect "requests that failed" 0 "$(vq_sum log0 errors)"
	BOUNCED=$(vq_sum log0 bounced_bytes)
	disk_del log0
	[ ${#EXTENTS[@]} -eq 0 ] || fs_del "$BACKING_MNT"
	# With the last of the log.
	dm_del vbslog
}

check_log() {
	"$CHECK" check "$LOG" "$TMP/acked" "${EXTENTS[@]}" "$@"
}

nothing_is_lost() {
	check_log
	# Is it able to find a loss?
	loses_data -n
}

loses_data() {
	local rc=0
	check_log "$@" > "$TMP/lost" || rc=$?
	expect "status of a check that has to find a loss ($(tail -n 1 "$TMP/lost"))" 1 $rc
}

a_flush_on_a_device() {
	log_device
	disk_at_work fsync
	nothing_is_lost
}

a_flush_on_a_file() {
	log_file
	disk_at_work fsync
	nothing_is_lost
}

a_flush_on_a_buffered_file() {
	log_file
	disk_at_work fsync direct_io=0
	nothing_is_lost
}

each_write_on_a_device() {
	log_device
	disk_at_work write write_cache=0
	nothing_is_lost
}

each_write_on_a_file() {
	log_file
	disk_at_work write write_cache=0
	nothing_is_lost
}

each_write_on_a_buffered_file() {
	log_file
	disk_at_work write write_cache=0 direct_io=0
	nothing_is_lost
}

each_write_once_the_cache_is_off() {
	log_device
	CACHE_TYPE="write through"
	disk_at_work write
	nothing_is_lost
}

# VERSION_1, ACCESS_PLATFORM, BLK_SIZE
each_write_of_a_driver_that_cannot_flush() {
	log_device
	FEATURES=0x300000040
	disk_at_work write
	nothing_is_lost
}

# Copied on the way, as their segments are no whole blocks.
bounced() {
	WITH=odd
	disk_at_work "$@" block_size=4096
	say "$BOUNCED bytes were bounced"
	[ "$BOUNCED" -gt 0 ] || fail "nothing was bounced"
	nothing_is_lost
}

a_flush_of_bounced_writes() {
	log_device --sector-size 4096
	bounced fsync
}

each_bounced_write_on_a_device() {
	log_device --sector-size 4096
	bounced write write_cache=0
}

each_bounced_write_on_a_file() {
	log_file --sector-size 4096
	bounced write write_cache=0
}

# What these tests are worth: without flushes, and with the cache on, the load
# has to lose something.
writes_without_a_flush_are_lost() {
	log_device
	disk_at_work write
	loses_data
	sed -n 1p "$TMP/lost"
}

run_cases a_flush_on_a_device a_flush_on_a_file a_flush_on_a_buffered_file \
	each_write_on_a_device each_write_on_a_file \
	each_write_on_a_buffered_file each_write_once_the_cache_is_off \
	each_write_of_a_driver_that_cannot_flush \
	a_flush_of_bounced_writes each_bounced_write_on_a_device \
	each_bounced_write_on_a_file writes_without_a_flush_are_lost
