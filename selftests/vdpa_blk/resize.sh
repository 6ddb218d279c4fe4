#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A file or a device that grows or shrinks behind a disk, and revalidate_size.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

MIB=$((1 << 20))

size_is() {
	[ "$(blockdev --getsize64 "$DEV")" -eq "$1" ]
}

has_written() {
	[ "$(stat_field size0 5)" -gt 0 ]
}

# use [ATTR=VALUE...]: BACKING, as /dev/vdX
use() {
	load
	disk_on size0 "$BACKING" "$@"
	DEV=$(disk_blk size0)
}

revalidate() {
	desc_set size0 revalidate_size 1
}

# new_size MIB: /dev/vdX gets it, the driver says so
new_size() {
	revalidate
	wait_for 60 size_is $(($1 * MIB)) || fail "$DEV has not $1 MiB"
	expect "lines of the driver" 1 "$(klog_count "new size: $(($1 * 2048)) ")"
	expect "lines of the disk" 1 \
		"$(klog_count "$MOD: size0: size changed from .* to $(($1 * MIB)) ")"
}

# new_part_works FROM-MIB TO-MIB: the same in the disk and behind it
new_part_works() {
	dd if=/dev/urandom of="$TMP/noise" bs=1M count=$(($2 - $1)) status=none
	dd if="$TMP/noise" of="$DEV" bs=1M seek="$1" oflag=direct conv=fsync,notrunc \
		status=none
	cmp "$TMP/noise" <(dd if="$DEV" bs=1M skip="$1" iflag=direct status=none) ||
		fail "the new part of $DEV has other data"
	cmp "$TMP/noise" <(dd if="$BACKING" bs=1M skip="$1" iflag=direct status=none) ||
		fail "the new part of $BACKING has other data"
	if dd if=/dev/zero of="$DEV" bs=1M count=1 seek="$2" oflag=direct \
		status=none 2> /dev/null; then
		fail "there is something beyond the new end"
	fi
}

fio_until_enough() {
	until [ -e "$TMP/enough" ]; do
		fio --filename="$DEV" --direct=1 --ioengine=libaio \
			--rw=randwrite --verify=crc32c --verify_fatal=1 \
			--do_verify=1 --bsrange=4k-256k --blockalign=4k \
			--size=6M --numjobs=2 --offset_increment=16M \
			--iodepth=16 --randseed="$SEED" --group_reporting \
			--minimal --name=a > "$TMP/fio" 2>&1 || return
	done
}

# grows COMMAND: to a number of MiB; BACKING of 32 MiB, of which fio writes and
# verifies the beginning
grows() {
	local mib
	need fio
	use
	say "seed $SEED"
	rm -f "$TMP/enough"
	background fio_until_enough
	wait_for 60 has_written
	for mib in 36 40 48; do
		"$1" $mib
		new_size $mib
	done
	: > "$TMP/enough"
	if ! wait "$BG_PID"; then
		grep -v '^3;' "$TMP/fio"
		fail "fio failed"
	fi
	new_part_works 32 48
	expect "errors" 0 "$(vq_sum size0 errors)"
}

size_file() {
	truncate -s "${1}M" "$BACKING"
}

size_loop() {
	truncate -s "${1}M" "$BACKING_FILE"
	losetup -c "$BACKING"
}

size_lvm() {
	lvm lvextend -q -L "${1}M" "$BACKING" > /dev/null
}

a_file_grows_under_load() {
	back_file ext4 32 96
	grows size_file
}

a_loop_device_grows_under_load() {
	back_loop 32
	grows size_loop
}

a_logical_volume_grows_under_load() {
	back_lvm 48
	lvm lvreduce -q -f -L 32M "$BACKING" > /dev/null
	grows size_lvm
}

a_remote_device_grows_under_load() {
	back_nvme 32 loop
	grows nvme_grow
}

a_file_system_grows_with_the_disk() {
	local blocks
	need resize2fs
	back_loop 32
	use
	mkfs.ext4 -q "$DEV"
	mount_at "$TMP/mnt" "$DEV"
	blocks=$(stat -f -c %b "$TMP/mnt")
	cp "$(command -v bash)" "$TMP/mnt/before"
	size_loop 64
	new_size 64
	resize2fs "$DEV" 2> /dev/null
	[ "$(stat -f -c %b "$TMP/mnt")" -gt $((blocks + blocks / 2)) ] ||
		fail "the file system is not larger"
	dd if=/dev/zero of="$TMP/mnt/after" bs=1M count=40 conv=fsync status=none
	cmp "$(command -v bash)" "$TMP/mnt/before"
	unmount "$TMP/mnt"
}

through_vhost() {
	local rc=0
	[ -x "$HERE/vhost_resize" ] || skip "vhost_resize is not built"
	load
	back_file ext4 8 48
	VDPA_BLK_PATH=$BACKING "$HERE/vhost_resize" || rc=$?
	[ $rc -ne $KSFT_SKIP ] || skip "vhost_resize was skipped"
	return $rc
}

# piece MIB DD-ARG...: 64 KiB there
piece() {
	dd bs=64k count=1 skip=$(($1 * 16)) iflag=direct status=none "${@:2}"
}

# A write to what is gone may fail. If it does not, it has to be there.
no_wrong_promise() {
	dd if=/dev/urandom of="$TMP/noise" bs=64k count=1 status=none
	! dd if="$TMP/noise" of="$DEV" bs=64k seek=$(($1 * 16)) oflag=direct \
		status=none || piece "$1" "if=$DEV" | cmp - "$TMP/noise"
}

# shrinks COMMAND: BACKING of 32 MiB
shrinks() {
	use
	dd if=/dev/urandom of="$TMP/data" bs=1M count=16 status=none
	dd if="$TMP/data" of="$DEV" bs=1M oflag=direct status=none
	"$1" 16
	klog_mark "shrunk"
	refused "Device or resource busy" revalidate
	expect "log lines" 1 "$(klog_count "$MOD: size0: .*33554432.*16777216")"
	size_is $((32 * MIB)) || fail "the size has changed"
	! piece 24 "if=$DEV" of=/dev/null || fail "what is gone could be read"
	no_wrong_promise 24
	cmp "$TMP/data" <(dd if="$DEV" bs=1M count=16 iflag=direct status=none)
	disk_unbind size0
	"$1" 16
	revalidate
	DEV=$(disk_blk size0)
	size_is $((16 * MIB)) || fail "the disk has not become smaller"
	cmp "$TMP/data" <(dd if="$DEV" bs=1M iflag=direct status=none)
}

a_file_shrinks() {
	back_file ext4 32 64
	shrinks size_file
}

a_loop_device_shrinks() {
	back_loop 32
	shrinks size_loop
}

odd_sizes_are_refused() {
	back_loop 32
	use block_size=4096
	truncate -s $((32 * MIB + 512)) "$BACKING_FILE"
	losetup -c "$BACKING"
	klog_mark "odd"
	refused "Invalid argument" revalidate
	expect "log lines" 1 \
		"$(klog_count "$MOD: size0: .*33554944 .*block_size=4096")"
	size_is $((32 * MIB)) || fail "the size has changed"
	dd if=/dev/zero of="$DEV" bs=1M count=1 seek=31 oflag=direct status=none
	truncate -s $((32 * MIB + 4096)) "$BACKING_FILE"
	losetup -c "$BACKING"
	revalidate
	wait_for 60 size_is $((32 * MIB + 4096))
}

a_read_only_disk_grows() {
	back_loop 16 -r
	use readonly=1
	size_loop 32
	new_size 32
	cmp -n $((32 * MIB)) "$DEV" /dev/zero
}

ram_stays_as_it_is() {
	load
	desc_add size0 size=5M
	refused "No such device" revalidate
	disk_add size0
	DEV=$(disk_blk size0)
	revalidate
	size_is $((5 * MIB)) || fail "the size has changed"
	expect "lines about a new size" 0 "$(klog_count "size0: size changed")"
	disk_del size0
	refused "No such device" revalidate
}

revalidate_for_ever() {
	while :; do
		revalidate 2>> "$TMP/said" || :
	done
}

disks_go_while_sizes_change() {
	local i
	load
	back_loop 16
	desc_add size0 "path=$BACKING"
	: > "$TMP/said"
	background revalidate_for_ever
	for i in $(seq "$(often 10 4)"); do
		disk_add size0
		DEV=$(disk_blk size0)
		size_loop $((16 + i))
		wait_for 60 size_is $(((16 + i) * MIB)) || fail "not $((16 + i)) MiB"
		disk_del size0
	done
	expect "what was said" "" "$(grep -v "No such device" "$TMP/said" || :)"
}

run_cases a_file_grows_under_load a_loop_device_grows_under_load \
	a_logical_volume_grows_under_load a_remote_device_grows_under_load \
	a_file_system_grows_with_the_disk \
	through_vhost a_file_shrinks a_loop_device_shrinks \
	odd_sizes_are_refused a_read_only_disk_grows ram_stays_as_it_is \
	disks_go_while_sizes_change
