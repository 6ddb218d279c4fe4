#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Descriptions of disks in configfs: what they take and refuse, with which
# error and which line in the log, and what a driver sees of them.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

BLK_SIZE=$((1 << 6))
RO=$((1 << 5))
SECURE_ERASE=$((1 << 16))
IN_ORDER=$((1 << 35))
BASE=$((1 << 32 | 1 << 33))

ALL="path size num_queues queue_size block_size physical_block_size seg_max"
ALL+=" serial readonly write_cache direct_io discard poll_us badblocks revalidate_size"

# With limits of log lines that nobody has used up.
reload() {
	need_configfs
	unload
	load "$@"
}

# ---- the folder -----------------------------------------------------------

features_lists_what_there_is() {
	reload
	desc_add cfg0
	expect "documented attributes" "$(tr ' ' '\n' <<< "$ALL" | sort)" \
		"$(ls "$DESCS/cfg0")"
	expect "features" "$(tr ' ' , <<< "$ALL")" "$(cat "$DESCS/features")"
	refused "Permission denied" desc_get cfg0 revalidate_size
	refused "Permission denied" sh -c "echo x > $DESCS/features"
}

# attrs NAME ATTR=VALUE...: what the description says
attrs() {
	local name=$1 attr got
	shift
	for attr in "$@"; do
		read -r got < "$DESCS/$name/${attr%%=*}" || [ -z "${attr#*=}" ]
		expect "${attr%%=*}" "${attr#*=}" "$got"
	done
}

FIXED="path= queue_size=1024 physical_block_size=0 seg_max=0 serial="
FIXED+=" readonly=0 direct_io=1 discard=1 badblocks="

defaults_are_the_parameters() {
	local cpus
	cpus=$(getconf _NPROCESSORS_ONLN)
	reload
	desc_add cfg0
	# shellcheck disable=SC2086 # words
	attrs cfg0 $FIXED size=1073741824 block_size=512 write_cache=1 \
		num_queues=$((cpus < 8 ? cpus : 8)) poll_us=50
	desc_del cfg0
	reload size=6M num_queues=5 block_size=4096 write_cache=N poll_us=77
	desc_add cfg0
	# shellcheck disable=SC2086 # words
	attrs cfg0 $FIXED size=6291456 num_queues=5 block_size=4096 \
		write_cache=0 poll_us=77
}

without_a_folder_the_parameters_count() {
	local dev
	reload size=6M num_queues=1 block_size=4096 write_cache=N
	desc_add other size=4M
	disk_add cfg0
	dev=$(disk_blk cfg0)
	expect "sectors" 12288 "$(blk_attr size "$dev")"
	expect "block size" 4096 "$(blk_attr queue/logical_block_size "$dev")"
	expect "cache" "write through" "$(blk_attr cache_type "$dev")"
	# A folder that comes later is not that of the disk.
	desc_add cfg0 size=8M
	expect "sectors" 12288 "$(blk_attr size "$dev")"
	refused "File exists" disk_add cfg0
	desc_set cfg0 size 9M
	desc_del cfg0
	disk_exists cfg0 || fail "the disk is gone"
}

# written ATTR VALUE...: each is read back; VALUE may be WRITTEN:READ
written() {
	local attr=$1 v got
	shift
	for v in "$@"; do
		desc_set cfg0 "$attr" "${v%%:*}"
		read -r got < "$DESCS/cfg0/$attr"
		expect "$attr=${v%%:*}" "${v#*:}" "$got"
	done
}

# raw NAME ATTR FORMAT: without a newline
raw() {
	# shellcheck disable=SC2059 # a format
	printf "$3" > "$DESCS/$1/$2"
}

values_are_read_back() {
	load
	desc_add cfg0
	written path /dev/null /nowhere "/with two blanks" ""
	written size 512 1048576 1K:1024 3M:3145728 2G:2147483648 \
		5T:5497558138880 9223372036854775807
	written num_queues 1 64 33
	written queue_size 2 4 512 1024
	written block_size 4096 512
	written physical_block_size 512 4096 1048576 0
	written seg_max 1 254 0
	written poll_us 1 10000 0
	written serial a "two words" 12345678901234567890 ""
	written readonly 1 0
	written write_cache 0 1
	written direct_io 0 1
	written discard 0 1
	written badblocks "8 8"
	# Without the newline too.
	raw cfg0 num_queues 7
	expect "num_queues" 7 "$(desc_get cfg0 num_queues)"
}

bad_blocks_come_and_go() {
	load
	desc_add cfg0
	desc_set cfg0 badblocks "100 8"
	desc_set cfg0 badblocks "300 1"
	desc_set cfg0 badblocks "104 16"
	expect "merged" $'100 20\n300 1' "$(desc_get cfg0 badblocks)"
	desc_set cfg0 badblocks "-108 4"
	expect "with a gap" $'100 8\n112 8\n300 1' "$(desc_get cfg0 badblocks)"
	desc_set cfg0 badblocks "-0 1000"
	expect "none" "" "$(desc_get cfg0 badblocks)"
	desc_set cfg0 badblocks "0 1200"
	expect "sectors of a long range" 1200 \
		"$(desc_get cfg0 badblocks | awk '$2 <= 512 { n += $2 } END { print n }')"
}

a_long_path() {
	local path
	reload
	desc_add cfg0
	path=/$(printf '%4093s' "" | tr ' ' x)
	raw cfg0 path "$path"
	expect "path of 4094 bytes" "$path" "$(desc_get cfg0 path)"
	klog_mark "long"
	not_taken "File name too long" path "${path}x" raw
	not_taken "File name too long" path "${path}xxxxxx" raw
	expect "log lines" 2 "$(klog_count "$MOD: cfg0: path=/xxx.*: too long")"
	expect "path afterwards" "$path" "$(desc_get cfg0 path)"
}

# ---- refused when written -------------------------------------------------

# not_taken ERROR ATTR VALUE [WRITER]: as "refused", without a process
not_taken() {
	local said
	! "${4:-desc_set}" cfg0 "$2" "$3" 2> "$TMP/said" || fail "$2=$3 was taken"
	read -r said < "$TMP/said"
	[[ $said == *"$1" ]] || fail "$2=$3: '$said'"
}

# bad_values ERROR ATTR VALUE...: at most 10, for more are not logged
bad_values() {
	local error=$1 attr=$2 v old='' log
	shift 2
	[ "$attr" = revalidate_size ] || old=$(desc_get cfg0 "$attr")
	klog_mark "$attr"
	for v in "$@"; do
		not_taken "$error" "$attr" "$v"
	done
	log=$(klog | grep "$MOD: ")
	expect "log lines of $attr" $# "$(wc -l <<< "$log")"
	for v in "$@"; do
		[[ $log == *"$MOD: cfg0: $attr=$v: "* ]] ||
			fail "no log line of $attr=$v"
	done
	[ "$attr" = revalidate_size ] ||
		expect "$attr afterwards" "$old" "$(desc_get cfg0 "$attr")"
}

bad_numbers_are_refused() {
	local e="Invalid argument"
	reload
	desc_add cfg0
	bad_values "$e" num_queues 0 65 -1 abc "" 1.5 "4 4" 0x4 4294967297
	bad_values "$e" queue_size 0 1 3 1000 2048 -2 65536 ""
	bad_values "$e" block_size 0 511 1024 2048 8192 -512 abc ""
	bad_values "$e" physical_block_size 1 256 513 3000 2097152 -1 abc ""
	bad_values "$e" poll_us 10001 -1 abc "" 1.5
	bad_values "$e" seg_max 255 -1 abc "" 4294967296
	bad_values "$e" size 0 511 abc 1X 1MM "1 M" 9223372036854775808 \
		16777216T -1 ""
}

bad_switches_are_refused() {
	local attr
	reload
	desc_add cfg0
	for attr in readonly write_cache direct_io discard; do
		bad_values "Invalid argument" $attr 2 abc "" -1 " 1"
	done
}

bad_words_are_refused() {
	local e="Invalid argument"
	reload
	desc_add cfg0
	bad_values "$e" path relative ./here " /blank"
	bad_values "$e" serial 123456789012345678901 "a string that is far too long"
	bad_values "$e" badblocks 1 abc "1 0" "1 2 3" "1  2" "-1" "- 1 1" \
		"0 4294967296" "9223372036854775807 1" "0x1 1"
	bad_values "$e" revalidate_size 0 2 11 abc ""
	bad_values "No such device" revalidate_size 1
}

a_nul_byte_is_refused() {
	local attr log
	reload
	desc_add cfg0
	klog_mark "NUL"
	for attr in $ALL; do
		not_taken "Invalid argument" "$attr" '1\0' raw
	done
	log=$(klog | grep "$MOD: .*: has a NUL byte")
	expect "log lines" "$(wc -w <<< "$ALL")" "$(wc -l <<< "$log")"
	for attr in $ALL; do
		[[ $log == *"$MOD: cfg0: $attr=1"* ]] || fail "no log line of $attr"
	done
}

a_full_table_of_bad_blocks() {
	local i
	reload
	desc_add cfg0
	klog_mark "full"
	for ((i = 0; i < 10000; i += 4)); do
		desc_set cfg0 badblocks "$i 1" 2> "$TMP/said" || break
	done
	say "$((i / 4)) ranges"
	grep -q "No space left on device" "$TMP/said" || fail "$(cat "$TMP/said")"
	expect "log lines" 1 "$(klog_count "$MOD: cfg0: badblocks=$i 1: ")"
	# As many as fit into a page, and no half line.
	desc_get cfg0 badblocks > "$TMP/bad"
	awk -v n=0 '$0 != n " 1" { exit 1 } { n += 4 }' "$TMP/bad" ||
		fail "badblocks shows something else than what was written"
	desc_set cfg0 badblocks "-0 1"
	desc_set cfg0 badblocks "$i 1"
}

a_loop_does_not_fill_the_log() {
	local i n
	reload
	desc_add cfg0
	for ((i = 0; i < 100; i++)); do
		! desc_set cfg0 seg_max "x$i" 2> /dev/null || fail "x$i was taken"
	done
	n=$(klog_count "$MOD: cfg0: seg_max=x")
	say "$n lines"
	[ "$n" -ge 10 ] || fail "less than 10 lines"
	[ "$n" -lt 50 ] || fail "$n lines for 100 writes"
}

# ---- refused by "vdpa dev add" --------------------------------------------

# not_added ERROR LINE [FEATURES]: of cfg0, and one line in the log says so
not_added() {
	klog_mark "$2"
	refused "$1" disk_add cfg0 "${3:-}"
	! disk_exists cfg0 || fail "the disk is there all the same"
	klog | grep "$MOD: .*cfg0" > "$TMP/log" || :
	say "$(cat "$TMP/log")"
	expect "log lines" 1 "$(wc -l < "$TMP/log")"
	grep -Fq "$2" "$TMP/log" || fail "the line has no '$2'"
}

# bad_disk ERROR LINE [ATTR=VALUE...]
bad_disk() {
	local error=$1 line=$2
	shift 2
	desc_add cfg0 "$@"
	not_added "$error" "$line"
	# Only when nobody holds it.
	desc_del cfg0
}

# good_disk [ATTR=VALUE...]: the backing is free, it can be had
good_disk() {
	desc_add cfg0 "$@"
	disk_add cfg0
	disk_del cfg0
	desc_del cfg0
}

# is_free DEV: wipefs opens it exclusively
is_free() {
	wipefs -a "$1" > /dev/null
}

not_a_disk() {
	load
	mkfifo "$TMP/fifo"
	ln -s "$TMP/nothing" "$TMP/dangling"
	bad_disk "No such file or directory" "path=$TMP/nothing:" "path=$TMP/nothing"
	bad_disk "No such file or directory" "path=$TMP/dangling:" "path=$TMP/dangling"
	bad_disk "Is a directory" "path=$TMP:" "path=$TMP"
	bad_disk "Invalid argument" "path=$TMP/fifo:" "path=$TMP/fifo"
	bad_disk "Invalid argument" "path=/dev/null:" path=/dev/null
}

a_mounted_device() {
	load
	back_loop 16
	back_fs ext4 "$BACKING"
	bad_disk "Device or resource busy" "path=$BACKING:" "path=$BACKING"
	umount "$BACKING_MNT"
	good_disk "path=$BACKING"
	is_free "$BACKING"
	mount -t tmpfs tmpfs "$BACKING_MNT"
}

a_device_that_others_hold() {
	local dev busy="Device or resource busy"
	load
	need wipefs
	back_loop 16
	dev=$BACKING
	disk_on cfg1 "$dev"
	bad_disk "$busy" "path=$dev:" "path=$dev"
	ln -s "$dev" "$TMP/link"
	bad_disk "$busy" "path=$TMP/link:" "path=$TMP/link"
	refused "busy|Can't open" mount -t ext4 "$dev" /mnt
	refused "$busy" is_free "$dev"
	disk_del cfg1
	is_free "$dev"
	good_disk "path=$TMP/link"
	dm_add vbscfg "0 2048 linear $dev 0"
	bad_disk "$busy" "path=$dev:" "path=$dev"
}

partitions_are_devices_of_their_own() {
	local dev
	load
	need sfdisk partx
	back_loop 16
	dev=$BACKING
	printf ',4M\n,4M\n' | sfdisk -q --no-reread --no-tell-kernel "$dev"
	partx -a "$dev"
	at_end partx -d "$dev"
	wait_for 60 [ -b "${dev}p2" ]
	disk_on cfg1 "${dev}p1"
	disk_on cfg2 "${dev}p2"
	bad_disk "Device or resource busy" "path=$dev:" "path=$dev"
	disk_del cfg1
	disk_del cfg2
	good_disk "path=$dev"
}

a_file_of_another_disk() {
	local busy="Device or resource busy"
	load
	back_file ext4 8 32
	disk_on cfg1 "$BACKING"
	bad_disk "$busy" "path=$BACKING:" "path=$BACKING"
	ln "$BACKING" "$BACKING_MNT/hard"
	bad_disk "$busy" "path=$BACKING_MNT/hard:" "path=$BACKING_MNT/hard" \
		readonly=1
	disk_del cfg1
	good_disk "path=$BACKING"
}

read_only_backings() {
	local rofs="Read-only file system"
	load
	back_loop 8 -r
	bad_disk "$rofs" "path=$BACKING:" "path=$BACKING"
	good_disk "path=$BACKING" readonly=1
	back_loop 8
	make_readonly "$BACKING"
	bad_disk "$rofs" "path=$BACKING:" "path=$BACKING"
	good_disk "path=$BACKING" readonly=1
	back_file ext4 8 32
	mount -o remount,ro "$BACKING_MNT"
	bad_disk "$rofs" "path=$BACKING:" "path=$BACKING"
	good_disk "path=$BACKING" readonly=1
}

bad_sizes() {
	local e="Invalid argument"
	load
	back_file ext4 8 32
	truncate -s 0 "$BACKING"
	bad_disk "$e" "path=$BACKING:" "path=$BACKING"
	truncate -s 511 "$BACKING"
	bad_disk "$e" "path=$BACKING:" "path=$BACKING"
	truncate -s 1536 "$BACKING"
	bad_disk "$e" "path=$BACKING:" "path=$BACKING" block_size=4096
	truncate -s $((1000 * 512 + 512)) "$BACKING"
	bad_disk "$e" "path=$BACKING: 512512 bytes" "path=$BACKING" block_size=4096
	good_disk "path=$BACKING"
	truncate -s $((1000 * 512 + 100)) "$BACKING"
	bad_disk "$e" "path=$BACKING: 512100 bytes" "path=$BACKING"
	bad_disk "$e" "size=512512:" size=512512 block_size=4096
	good_disk size=512512
}

devices_of_bad_sizes() {
	local e="Invalid argument"
	load
	need wipefs
	back_loop 8
	truncate -s $((1000 * 512 + 512)) "$BACKING_FILE"
	losetup -c "$BACKING"
	bad_disk "$e" "path=$BACKING: 512512 bytes" "path=$BACKING" block_size=4096
	is_free "$BACKING"
	truncate -s 512 "$BACKING_FILE"
	losetup -c "$BACKING"
	bad_disk "$e" "path=$BACKING: smaller" "path=$BACKING" block_size=4096
	is_free "$BACKING"
	good_disk "path=$BACKING"
}

larger_blocks_behind_it() {
	local e="Invalid argument"
	load
	need wipefs
	back_loop 8 -b 4096
	bad_disk "$e" "block_size=512:" "path=$BACKING"
	is_free "$BACKING"
	good_disk "path=$BACKING" block_size=4096
	bad_disk "$e" "physical_block_size=512:" "path=$BACKING" \
		block_size=4096 physical_block_size=512
}

a_zoned_device() {
	load
	back_null_blk 16 zoned=1 zone_size=4 discard=0
	bad_disk "Operation not supported" "path=$BACKING:" "path=$BACKING"
	is_free "$BACKING"
}

features_that_cannot_be() {
	load
	back_loop 8
	desc_add cfg0
	not_added "Operation not supported" 0x300010000 $((BASE | SECURE_ERASE))
	desc_set cfg0 path "$BACKING"
	not_added "Operation not supported" 0x300010000 $((BASE | SECURE_ERASE))
	not_added "Invalid argument" 0x200000000 $((1 << 33))
	# What ends when the device says so has no order.
	not_added "Operation not supported" 0x800000000 $((BASE | IN_ORDER))
	desc_set cfg0 block_size 4096
	not_added "Invalid argument" 0x300000000 $BASE
	desc_set cfg0 readonly 1
	not_added "Invalid argument" 0x300000040 $((BASE | BLK_SIZE))
	# All of it was refused after the device had been opened.
	is_free "$BACKING"
	disk_add cfg0 $((BASE | BLK_SIZE | RO))
}

a_name_that_exists() {
	load
	desc_add cfg0 size=1M
	disk_add cfg0
	klog_mark "again"
	refused "File exists" disk_add cfg0
	expect "log lines" 1 "$(klog_count "$MOD: .*cfg0.* exists")"
	disk_exists cfg0 || fail "the first one is gone"
	refused "busy" rmdir "$DESCS/cfg0"
}

# ---- while the disk exists ------------------------------------------------

# all_of NAME: every attribute that can be read
all_of() {
	find "$DESCS/$1" -type f -perm -u=r -exec grep "" {} +
}

while_it_exists_it_is_constant() {
	local attr v old log constant=${ALL% poll_us*}
	reload
	desc_add cfg0 size=1M "badblocks=8 8"
	disk_add cfg0
	old=$(all_of cfg0)
	klog_mark "busy"
	for attr in $constant; do
		read -r v < "$DESCS/cfg0/$attr"
		not_taken "Device or resource busy" "$attr" "$v"
	done
	log=$(klog | grep "$MOD: ")
	expect "log lines" "$(wc -w <<< "$constant")" "$(wc -l <<< "$log")"
	for attr in $constant; do
		[[ $log == *"$MOD: cfg0: $attr"* ]] || fail "no log line of $attr"
	done
	expect "all of it" "$old" "$(all_of cfg0)"
	desc_set cfg0 poll_us 50
	expect "poll_us" 50 "$(desc_get cfg0 poll_us)"
	desc_set cfg0 badblocks "16 8"
	desc_set cfg0 revalidate_size 1
	expect "badblocks" "8 16" "$(desc_get cfg0 badblocks)"
	refused "Device or resource busy" rmdir "$DESCS/cfg0"
	refused "is in use" rmmod "$MOD"
	disk_del cfg0
	desc_set cfg0 size 2M
	disk_add cfg0
	disk_del cfg0
	refused "is in use" rmmod "$MOD"
	rmdir "$DESCS/cfg0"
	rmmod "$MOD"
}

many_descriptions() {
	local i n=64 size
	load
	autoprobe 0
	for ((i = 1; i <= n; i++)); do
		desc_add "cfg$i" "size=${i}M" num_queues=1 "serial=disk $i"
	done
	expect "descriptions" "$n" "$(find "$DESCS" -mindepth 1 -type d | wc -l)"
	for ((i = 1; i <= n; i++)); do
		read -r size < "$DESCS/cfg$i/size"
		expect "size of $i" $((i << 20)) "$size"
	done
	disk_add cfg1
	disk_add "cfg$n"
	expect "lines about their sizes" 2 \
		"$(klog_count "cfg(1: .* 1048576|$n: .* $((n << 20))) bytes")"
	disk_del cfg1
	disk_del "cfg$n"
}

describe_for_ever() {
	while :; do
		mkdir "$DESCS/cfg0" || :
		rmdir "$DESCS/cfg0" || :
	done 2> /dev/null
}

# With the description or without, or refused because it is about to go.
descriptions_come_and_go_while_disks_do() {
	local i added=0
	reload size=2M
	autoprobe 0
	at_end desc_del cfg0
	background describe_for_ever
	for i in $(seq "$(often 30 10)"); do
		if disk_add cfg0 2> /dev/null; then
			added=$((added + 1))
			disk_del cfg0
		fi
	done
	say "$added of $i disks"
	[ $added -gt 0 ] || fail "no disk could be made"
}

# ---- what a driver sees ---------------------------------------------------

# a_disk [ATTR=VALUE...]: sets DEV
a_disk() {
	desc_add cfg0 "$@"
	disk_add cfg0
	DEV=$(disk_blk cfg0)
}

drop_disk() {
	disk_del cfg0
	desc_del cfg0
}

# shown FILE VALUE...: of /sys/block/vdX
shown() {
	while [ $# -ge 2 ]; do
		expect "$1" "$2" "$(blk_attr "$1" "$DEV")"
		shift 2
	done
}

the_driver_sees_the_attributes() {
	local cpus
	cpus=$(getconf _NPROCESSORS_ONLN)
	load
	a_disk size=10M num_queues=3 queue_size=64 block_size=4096 \
		physical_block_size=65536 seg_max=7 serial=12345678901234567890 \
		discard=0
	shown size 20480 queue/logical_block_size 4096 \
		queue/physical_block_size 65536 queue/max_segments 7 \
		serial 12345678901234567890 queue/discard_max_bytes 0 ro 0
	expect "hardware queues" $((cpus < 3 ? cpus : 3)) \
		"$(find "/sys/block/${DEV##*/}/mq" -mindepth 1 -maxdepth 1 | wc -l)"
	vdpa dev show cfg0 | grep -q "max_vqs 3 " || fail "not 3 queues"
	grep -qx "size: 64" "/sys/kernel/debug/$MOD/cfg0/vq0" ||
		fail "the ring has not 64 entries"
	dd if=/dev/zero of="$DEV" bs=1M count=4 oflag=direct status=none
	drop_disk
	a_disk queue_size=2 seg_max=1 serial="with blanks"
	shown queue/max_segments 1 serial "with blanks"
	[ "$(blk_attr queue/discard_max_bytes "$DEV")" -gt 0 ] || fail "no discard"
	dd if=/dev/zero of="$DEV" bs=1M count=4 oflag=direct status=none
}

a_read_only_disk() {
	load
	back_file ext4 8 32
	dd if=/dev/urandom of="$BACKING" bs=1M count=8 status=none
	a_disk "path=$BACKING" readonly=1
	shown ro 1
	# Nobody writes to it, or it could not be remounted.
	mount -o remount,ro "$BACKING_MNT"
	cmp "$DEV" "$BACKING"
	if dd if=/dev/zero of="$DEV" bs=4k count=1 oflag=direct status=none; then
		fail "it could be written to"
	fi
	expect "errors" 0 "$(vq_sum cfg0 errors)"
}

# Of 8 MiB, how many sectors are in the device of the file system at once?
written_at_once() {
	local before
	before=$(awk '{ print $7 }' "$1")
	dd if=/dev/zero of="$DEV" bs=1M count=8 oflag=direct status=none
	awk -v n="$before" '{ print $7 - n }' "$1"
}

direct_io_is_past_the_page_cache() {
	local stat n
	load
	back_file ext4 8 32
	stat=/sys/dev/block/$(stat -c %Hd:%Ld "$BACKING")/stat
	a_disk "path=$BACKING"
	n=$(written_at_once "$stat")
	[ "$n" -ge 16384 ] || fail "only $n sectors with direct_io=1"
	drop_disk
	a_disk "path=$BACKING" direct_io=0
	n=$(written_at_once "$stat")
	[ "$n" -lt 16384 ] || fail "$n sectors with direct_io=0"
	# And they are found where the disk is opened another time.
	drop_disk
	a_disk "path=$BACKING" readonly=1
	cmp "$DEV" "$BACKING"
}

allocated() {
	sync -f "$1"
	stat -c %b "$1"
}

discard_0_keeps_the_space() {
	local full
	need fallocate
	load
	back_file ext4 8 32
	a_disk "path=$BACKING" discard=0
	dd if=/dev/urandom of="$DEV" bs=1M count=8 oflag=direct conv=fsync status=none
	full=$(allocated "$BACKING")
	refused "not supported" blkdiscard -q -f "$DEV"
	# WRITE ZEROES that may unmap, as the driver asks for it
	fallocate -n -p -l 1M "$DEV" || :
	expect "blocks" "$full" "$(allocated "$BACKING")"
	drop_disk
	a_disk "path=$BACKING"
	fallocate -n -p -l 1M "$DEV"
	[ "$(allocated "$BACKING")" -lt "$full" ] ||
		fail "with discard=1 WRITE ZEROES frees nothing"
	full=$(allocated "$BACKING")
	blkdiscard -q -f -o 1M -l 1M "$DEV"
	[ "$(allocated "$BACKING")" -lt "$full" ] ||
		fail "with discard=1 DISCARD frees nothing"
}

# Device mapper's nodes have other names than their folders in sysfs.
backing_attr() {
	cat "/sys/dev/block/$(stat -L -c %Hr:%Lr "$BACKING")/queue/$1"
}

# limits_of_the_backing [ATTR=VALUE...]: are those of the disk
limits_of_the_backing() {
	local f
	a_disk "path=$BACKING" "$@"
	for f in logical_block_size physical_block_size minimum_io_size \
		optimal_io_size discard_granularity; do
		say "$f: $(backing_attr $f)"
		shown "queue/$f" "$(backing_attr $f)"
	done
	drop_disk
}

limits_of_a_loop_device() {
	load
	back_loop 8
	limits_of_the_backing
}

limits_of_a_device_with_blocks_of_4096() {
	load
	back_null_blk 16 blocksize=4096
	limits_of_the_backing block_size=4096
}

limits_of_a_striped_device() {
	local one
	load
	back_null_blk 16
	one=$BACKING
	back_null_blk 16
	dm_add vbscfg "0 65536 striped 2 128 $one 0 $BACKING 0"
	expect "optimal size of 2 stripes" 131072 "$(backing_attr optimal_io_size)"
	limits_of_the_backing
}

run_cases features_lists_what_there_is defaults_are_the_parameters \
	without_a_folder_the_parameters_count values_are_read_back \
	bad_blocks_come_and_go a_long_path bad_numbers_are_refused \
	bad_switches_are_refused bad_words_are_refused a_nul_byte_is_refused \
	a_full_table_of_bad_blocks a_loop_does_not_fill_the_log not_a_disk \
	a_mounted_device a_device_that_others_hold \
	partitions_are_devices_of_their_own a_file_of_another_disk \
	read_only_backings bad_sizes devices_of_bad_sizes \
	larger_blocks_behind_it a_zoned_device features_that_cannot_be \
	a_name_that_exists while_it_exists_it_is_constant many_descriptions \
	descriptions_come_and_go_while_disks_do \
	the_driver_sees_the_attributes a_read_only_disk \
	direct_io_is_past_the_page_cache discard_0_keeps_the_space \
	limits_of_a_loop_device limits_of_a_device_with_blocks_of_4096 \
	limits_of_a_striped_device
