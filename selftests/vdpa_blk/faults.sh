#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Backings that fail, go away or refuse: the requests concerned end with an
# error, no others do, and the disk is as good as before when the cause is gone.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

MIB=32

# put LETTER POS LEN: bytes to the disk. In one block: dd goes through the page
# cache for what is less.
put() {
	tr '\0' "$1" < /dev/zero | dd of="$DEV" bs="$3" count=1 \
		iflag=fullblock oflag=direct,seek_bytes seek="$2" \
		conv=notrunc status=none
}

# get POS LEN: bytes from the disk
get() {
	dd if="$DEV" bs="$2" count=1 skip="$1" iflag=direct,skip_bytes \
		status=none
}

# has LETTER POS LEN
has() {
	expect "bytes $1 at $2" "$3" "$(get "$2" "$3" | tr -dc "$1" | wc -c)"
}

read_fails() {
	refused "Input/output error" get "$@"
}

write_fails() {
	refused "Input/output error" put X "$@"
}

errors() {
	vq_sum bad0 errors
}

errors_over() {
	[ "$(errors)" -gt "$1" ]
}

# load_on OPTION...: until the end of the case, through all errors
load_on() {
	need fio
	background fio --name=load --filename="$DEV" --direct=1 \
		--allow_file_create=0 --ioengine=libaio --rw=randrw --bs=4k \
		--iodepth=16 --offset=16M --size=8M --time_based --runtime=600 \
		--continue_on_error=all --minimal --randseed="$SEED" "$@" \
		> "$TMP/load" 2>&1
	LOAD=$BG_PID
	wait_for 60 requests_over 100 || fail "no I/O on $DEV"
}

requests_over() {
	[ "$(stat_field bad0 1)" -gt "$1" ]
}

load_ended() {
	! kill -0 "$LOAD" 2> /dev/null
}

load_stops() {
	kill -INT "$LOAD"
	wait_for 60 load_ended ||
		fail "fio hangs: $(ps -o stat,wchan,args -p "$LOAD")"
}

# The disk does all it should, and counts no more errors.
works() {
	local before
	before=$(errors)
	put W 1M 1M
	has W 1048576 1048576
	blockdev --flushbufs "$DEV"
	expect "errors of a disk that works" "$before" "$(errors)"
}

# ---- a file system that is full -------------------------------------------

fill_up() {
	local mnt=$BACKING_MNT i full=""
	load
	dd if=/dev/zero of="$mnt/ballast" bs=1M count=8 conv=fsync status=none
	disk_on bad0 "$BACKING" "$@"
	DEV=$(disk_blk bad0)
	put A 0 1M
	for ((i = 1; i < MIB && ${#full} < 3; i++)); do
		put B "${i}M" 1M 2> "$TMP/put" || full+=x
	done
	[ ${#full} -eq 3 ] || fail "the file system was to be full"
	grep -q "Input/output error" "$TMP/put"
	say "$(errors) errors, full at $((i - 3)) MiB"

	# What has its place goes on.
	has A 0 1048576
	has B 1048576 1048576
	put C 0 1M
	has C 0 1048576

	rm "$mnt/ballast"
	sync -f "$mnt"
	put D $(((i - 1) << 20)) 1M
	has D $(((i - 1) << 20)) 1048576
	has B 1048576 1048576
}

a_full_file_system() {
	back_file ext4 $MIB 28
	fill_up
}

a_full_file_system_buffered() {
	back_file ext4 $MIB 28
	fill_up direct_io=0
}

# ---- a device that fails for a while --------------------------------------

a_device_that_fails_for_a_while() {
	local before sectors=$((MIB << 11)) good
	load
	back_loop $MIB
	good="0 $sectors linear $BACKING 0"
	dm_add vbsbad "$good"
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	put A 0 1M
	load_on
	expect "errors before" 0 "$(errors)"

	dm_swap vbsbad "0 $sectors error"
	wait_for 60 errors_over 100 || fail "no errors"
	read_fails 0 4096
	write_fails 0 4096
	refused "Input/output error" blkdiscard -f -z -o 0 -l 4096 "$DEV"
	! load_ended || fail "fio has ended"

	dm_swap vbsbad "$good"
	has A 0 1048576
	before=$(errors)
	requests=$(stat_field bad0 1)
	wait_for 60 requests_over $((requests + 100)) || fail "no more I/O"
	expect "errors afterwards" "$before" "$(errors)"
	load_stops
	works
}

# Reads go on, and so does what was written before.
a_device_that_takes_no_writes() {
	local loop
	load
	need_module dm-flakey
	back_loop $MIB
	loop=$BACKING
	dm_add vbsbad "0 $((MIB << 11)) linear $loop 0"
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	put A 0 1M
	blockdev --flushbufs "$DEV"
	dm_swap vbsbad "0 $((MIB << 11)) flakey $loop 0 0 60 1 error_writes"
	write_fails 0 4096
	has A 0 1048576
	refused "Input/output error" sync -d "$DEV"
	dm_swap vbsbad "0 $((MIB << 11)) linear $loop 0"
	has A 0 1048576
	works
	sync -d "$DEV"
}

# The kernel tells of lost pages once, the disk each time: any queue may ask.
a_page_cache_that_has_lost_data() {
	local sectors good i
	load
	back_loop $((MIB * 2))
	sectors=$((MIB << 12))
	good="0 $sectors linear $BACKING 0"
	dm_add vbsbad "$good"
	# Nothing but the file's data is to be written.
	need mkfs.ext2
	back_fs ext2 "$BACKING"
	BACKING=$BACKING_MNT/disk
	tr '\0' A < /dev/zero | dd of="$BACKING" bs=1M count=$MIB \
		iflag=fullblock conv=fsync status=none
	disk_on bad0 "$BACKING" direct_io=0
	DEV=$(disk_blk bad0)
	put B 0 1M
	sync -d "$DEV"
	put C 0 1M
	dm_swap vbsbad "0 $sectors error"
	for i in 1 2 3; do
		refused "Input/output error" sync -d "$DEV"
	done
	dm_swap vbsbad "$good"
	put D 1M 1M
	has D 1048576 1048576
	for i in 1 2 3; do
		refused "Input/output error" sync -d "$DEV"
	done

	# Whoever makes it again, knows.
	disk_del bad0
	disk_add bad0
	DEV=$(disk_blk bad0)
	works
	sync -d "$DEV"
}

in_flight() {
	[ "$(stat_field bad0 9)" -gt 0 ]
}

# It has not failed, so the request waits, and can be seen to.
a_device_that_hangs() {
	local reader waits=
	load
	back_loop $MIB
	dm_add vbsbad "0 $((MIB << 11)) linear $BACKING 0"
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	put A 0 1M
	dm suspend --noflush --nolockfs vbsbad
	background has A 0 1048576
	reader=$BG_PID
	wait_for 60 in_flight && sleep 1 && kill -0 "$reader" && waits=yes
	# Before anything else: a disk that waits cannot be deleted.
	dm resume vbsbad
	[ -n "$waits" ] || fail "the read has not waited"
	wait "$reader"
	! in_flight || fail "a request is left"
	works
}

# ---- a device that goes away ----------------------------------------------

a_device_is_removed_under_load() {
	load
	back_null_blk $MIB
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	load_on
	expect "errors before" 0 "$(errors)"
	null_blk_del "${BACKING##*/}"
	[ ! -b "$BACKING" ] || fail "$BACKING is still there"
	wait_for 60 errors_over 100 || fail "no errors"
	read_fails 0 4096
	write_fails 0 4096
	disk_exists bad0 || fail "the disk is gone"
	! load_ended || fail "fio has ended"
	# Under load, too.
	disk_del bad0
	! disk_exists bad0 || fail "the disk is still there"
}

a_device_is_back() {
	local dir
	load
	back_null_blk $MIB
	dir=$CONFIGFS/nullb/${BACKING##*/}
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	works
	load_on
	echo 0 > "$dir/power"
	wait_for 60 errors_over 100 || fail "no errors"
	refused "No such file" desc_set bad0 revalidate_size 1
	read_fails 0 4096
	echo 1 > "$dir/power"
	wait_for 60 [ -b "$BACKING" ]
	# Nobody has told it yet.
	read_fails 0 4096
	desc_set bad0 revalidate_size 1
	load_stops
	# What the old one had in its cache may be lost.
	refused "Input/output error" sync -d "$DEV"
	sync -d "$DEV"
	works
	DEV=$BACKING has W 1048576 1048576
	# It is ours alone, as the old one was.
	refused "busy" blkdiscard "$BACKING"
}

another_device_is_there() {
	local dir
	load
	back_null_blk $MIB
	dir=$CONFIGFS/nullb/${BACKING##*/}
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	echo 0 > "$dir/power"
	echo $((MIB * 2)) > "$dir/size"
	echo 1 > "$dir/power"
	wait_for 60 [ -b "$BACKING" ]
	refused "busy" desc_set bad0 revalidate_size 1
	read_fails 0 4096
	# Without a driver it may be any.
	disk_unbind bad0
	desc_set bad0 revalidate_size 1
	DEV=$(disk_blk bad0)
	expect "bytes of the disk" $((MIB << 21)) "$(blockdev --getsize64 "$DEV")"
	works
}

# ---- on another machine -----------------------------------------------------

an_nbd_server_is_killed() {
	load
	back_nbd $MIB
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	works
	load_on
	expect "errors before" 0 "$(errors)"
	nbd_kill KILL
	wait_for 60 errors_over 100 || fail "no errors"
	read_fails 0 4096
	write_fails 0 4096
	! load_ended || fail "fio has ended"
	nbd_again
	works
}

# The kernel's nbd takes no new server while the device is open.
nbd_again() {
	disk_del bad0
	nbd_serve
	disk_add bad0
	DEV=$(disk_blk bad0)
	has W 1048576 1048576
}

# NBD_SET_TIMEOUT
nbd_timeout() {
	perl -e 'ioctl(STDIN, 0xab09, shift) or die "NBD_SET_TIMEOUT: $!\n"' \
		"$1" < "$BACKING"
}

an_nbd_server_does_not_answer() {
	need perl
	load
	back_nbd $MIB
	nbd_timeout 2
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	works
	nbd_kill STOP
	read_fails 4096 4096
	nbd_kill KILL
	nbd_again
	works
}

# The kernel's initiator tries again, and its requests wait: that is no error.
an_nvme_target_is_away_for_a_while() {
	local requests
	load
	back_nvme $MIB
	disk_on bad0 "$BACKING"
	DEV=$(disk_blk bad0)
	works
	load_on
	nvme_away
	sleep 2
	requests=$(stat_field bad0 1)
	sleep 1
	expect "requests while the target is away" "$requests" \
		"$(stat_field bad0 1)"
	nvme_back
	wait_for 60 requests_over $((requests + 100)) || fail "no more I/O"
	load_stops
	expect "errors" 0 "$(errors)"
	has W 1048576 1048576
	works
}

# ---- sectors marked bad ---------------------------------------------------

marked_sectors() {
	DEV=$(disk_blk bad0)
	put A 0 1M
	desc_set bad0 badblocks "100 8"
	desc_set bad0 badblocks "1000 1"
	read_fails $((100 << 9)) 512
	read_fails $((107 << 9)) 512
	read_fails $((96 << 9)) 4096
	read_fails 0 1M
	write_fails $((100 << 9)) 4096
	write_fails $((104 << 9)) 8192
	write_fails $((1000 << 9)) 512
	refused "Input/output error" \
		blkdiscard -f -z -o $((100 << 9)) -l 512 "$DEV"
	refused "Input/output error" \
		blkdiscard -f -o $((64 << 9)) -l 65536 "$DEV"
	has A $((99 << 9)) 512
	has A $((108 << 9)) 512
	put B $((99 << 9)) 512
	put B $((108 << 9)) 512
	has B $((99 << 9)) 512
	has A 0 $((99 << 9))

	desc_set bad0 badblocks "-100 8"
	has A $((100 << 9)) 4096
	put C $((100 << 9)) 4096
	has C $((100 << 9)) 4096
	read_fails $((1000 << 9)) 512
	desc_set bad0 badblocks "-1000 1"
	has A $((1000 << 9)) 512
}

marked_sectors_of_a_device() {
	load
	back_null_blk $MIB
	disk_on bad0 "$BACKING"
	marked_sectors
}

marked_sectors_of_a_file() {
	load
	back_file ext4 $MIB
	disk_on bad0 "$BACKING"
	marked_sectors
}

marked_sectors_of_ram() {
	load
	disk_on bad0 "" "size=${MIB}M"
	marked_sectors
}

# ---- read-only ------------------------------------------------------------

# read_only PATH: what is in the backing stays
read_only() {
	local sum
	sum=$(md5sum < "$1")
	DEV=$(disk_blk bad0)
	expect "read-only" 1 "$(blockdev --getro "$DEV")"
	has A 0 1048576
	refused "denied|not permitted|Read-only" put X 0 4096
	refused "denied|not permitted|Read-only" blkdiscard -f "$DEV"
	has A 0 1048576
	disk_del bad0
	expect "the backing" "$sum" "$(md5sum < "$1")"
}

fill_backing() {
	tr '\0' A < /dev/zero |
		dd of="$1" bs=1M count=1 iflag=fullblock conv=notrunc,fsync \
			status=none
}

a_read_only_file() {
	load
	back_file ext4 $MIB
	fill_backing "$BACKING"
	disk_on bad0 "$BACKING" readonly=1
	read_only "$BACKING"
}

a_file_on_a_read_only_file_system() {
	load
	back_file ext4 $MIB
	fill_backing "$BACKING"
	mount -o remount,ro "$BACKING_MNT"
	desc_add bad0 "path=$BACKING"
	refused "Read-only" disk_add bad0
	desc_set bad0 readonly 1
	disk_add bad0
	read_only "$BACKING"
}

a_read_only_loop_device() {
	load
	back_loop $MIB --read-only
	fill_backing "$BACKING_FILE"
	desc_add bad0 "path=$BACKING"
	refused "Read-only" disk_add bad0
	desc_set bad0 readonly 1
	disk_add bad0
	read_only "$BACKING"
}

a_device_made_read_only() {
	load
	back_loop $MIB
	fill_backing "$BACKING"
	make_readonly "$BACKING"
	desc_add bad0 "path=$BACKING"
	refused "Read-only" disk_add bad0
	desc_set bad0 readonly 1
	disk_add bad0
	read_only "$BACKING"
}

# A guest that takes requests back which are at work.
an_avail_index_that_goes_back() {
	back_null_blk 256 irqmode=2 completion_nsec=300000000 hw_queue_depth=512
	unload
	[ -x "$HERE/vhost_bad_rings" ] || skip "vhost_bad_rings is not built"
	VDPA_BLK_PATH=$BACKING "$HERE/vhost_bad_rings" -t avail_index_goes_back
}

run_cases an_avail_index_that_goes_back a_full_file_system a_full_file_system_buffered \
	a_device_that_fails_for_a_while a_page_cache_that_has_lost_data \
	a_device_that_hangs a_device_is_removed_under_load a_device_is_back \
	another_device_is_there an_nbd_server_is_killed \
	an_nbd_server_does_not_answer an_nvme_target_is_away_for_a_while \
	a_device_that_takes_no_writes marked_sectors_of_a_device \
	marked_sectors_of_a_file marked_sectors_of_ram a_read_only_file \
	a_file_on_a_read_only_file_system a_read_only_loop_device \
	a_device_made_read_only
