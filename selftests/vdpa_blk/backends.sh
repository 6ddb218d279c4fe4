#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each kind of backing under /dev/vdX: what is written is read back, there and
# in the backing itself, discards and zeroes touch what they should, and
# nothing is copied that need not be.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

MIB=16
# Of the disk, for discards against a shadow copy.
SHADOW_MIB=8
ROUNDS=${ROUNDS:-${EMULATED:+3}}
ROUNDS=${ROUNDS:-$(often 12 6)}

# device_reads: MiB so far from the device below the backing's file system
device_reads() {
	awk '{ print int($3 / 2048) }' "/sys/block/${BACKING_DEV##*/}/stat"
}

fio_verifies() {
	if ! fio --filename="$DEV" --direct=1 --ioengine=libaio --rw=randwrite \
		--verify=crc32c --verify_state_save=0 --verify_fatal=1 --do_verify=1 \
		--bssplit=512/15:4k/25:12k/15:64k/20:512k/15:4m/10 \
		--blockalign=512 --size=6M --numjobs=2 \
		--offset_increment=8M --iodepth=16 --randseed="$SEED" \
		--group_reporting --minimal --name=a > "$TMP/fio" 2>&1; then
		grep -v '^3;' "$TMP/fio"
		fail "fio failed"
	fi
}

# contents FILE: past the page cache
contents() {
	dd if="$1" bs=1M iflag=direct status=none
}

backing_is_the_same() {
	blockdev --flushbufs "$DEV"
	cmp <(contents "$DEV") <(contents "$BACKING") ||
		fail "$BACKING has other data than $DEV"
}

# copy FROM TO POS LEN [DD-ARG...]: to the same place. In one block: dd goes
# through the page cache for what is less.
copy() {
	local from=$1 to=$2 pos=$3 len=$4
	shift 4
	dd if="$from" of="$to" bs="$len" count=1 skip="$pos" seek="$pos" \
		iflag=skip_bytes,fullblock conv=notrunc status=none "$@"
}

a_write() {
	copy "$TMP/noise" "$TMP/shadow" "$1" "$2" oflag=seek_bytes
	copy "$TMP/noise" "$DEV" "$1" "$2" oflag=seek_bytes,direct
}

a_write_zeroes() {
	blkdiscard -z -o "$1" -l "$2" "$DEV"
	copy /dev/zero "$TMP/shadow" "$1" "$2" oflag=seek_bytes
}

# Of a discarded range each byte is zero or as it was.
a_discard() {
	blkdiscard -o "$1" -l "$2" "$DEV"
	copy "$DEV" "$TMP/new" "$1" "$2" oflag=seek_bytes
	# The third column is the new byte.
	cmp -l -i "$1" -n "$2" "$TMP/shadow" "$TMP/new" > "$TMP/diff" || :
	awk '$3 != 0 { exit 1 }' "$TMP/diff" ||
		fail "discard at $1, $2 bytes: other data"
	copy "$TMP/new" "$TMP/shadow" "$1" "$2" oflag=seek_bytes
}

# random BELOW: sets R
random() {
	R=$(((RANDOM << 15 | RANDOM) % $1))
}

discards_match_a_shadow() {
	local -a ops=(a_write a_discard a_write_zeroes)
	local sectors=$((SHADOW_MIB << 11)) i op pos len
	[ "$(cat "/sys/block/${DEV##*/}/queue/discard_max_bytes")" -gt 0 ] ||
		ops=(a_write a_write_zeroes)
	dd if=/dev/urandom of="$TMP/noise" bs=1M count=$SHADOW_MIB status=none
	cp "$TMP/noise" "$TMP/shadow"
	cp "$TMP/noise" "$TMP/new"
	a_write 0 $((SHADOW_MIB << 20))
	RANDOM=$SEED
	for ((i = 0; i < ROUNDS; i++)); do
		op=${ops[i % ${#ops[@]}]}
		# Every other one is whole pages.
		random "$sectors"
		pos=$((i % 2 ? R : R & ~7))
		random $((RANDOM % 2 ? 64 : 4096))
		len=$((i % 2 ? R + 1 : (R | 7) + 1))
		[ $((pos + len)) -le "$sectors" ] || len=$((sectors - pos))
		"$op" $((pos << 9)) $((len << 9))
	done
	cmp -n $((SHADOW_MIB << 20)) <(contents "$DEV") "$TMP/shadow" ||
		fail "a range has changed that should not, or the other way"
}

# serves [ATTR=VALUE...]: all of it, on BACKING
serves() {
	need fio blkdiscard
	say "seed $SEED"
	load
	disk_on back0 "$BACKING" "$@"
	DEV=$(disk_blk back0)
	[ -z "${BACKING_DEV:-}" ] || READS=-$(device_reads)
	fio_verifies
	[ -z "${BACKING_DEV:-}" ] || READS=$((READS + $(device_reads)))
	expect "bounced bytes of an aligned load" 0 "$(vq_sum back0 bounced_bytes)"
	discards_match_a_shadow
	backing_is_the_same
	expect "requests that failed" 0 "$(vq_sum back0 errors)"
	desc_add back1 "path=$BACKING"
	refused "busy" disk_add back1
	disk_del back0
}

# A file, or the one behind a device, has all its blocks until the discard.
gives_space_back() {
	local file=$1 before
	before=$(stat -c %b "$file")
	disk_add back0
	blkdiscard "$(disk_blk back0)"
	say "$before blocks, $(stat -c %b "$file") after a discard"
	[ "$(stat -c %b "$file")" -lt $((before / 10)) ] ||
		fail "the space is not given back"
	all_zero "$BACKING"
	disk_del back0
}

all_zero() {
	cmp -n $((MIB << 20)) <(contents "$1") /dev/zero
}

file_on_ext4() {
	load
	back_file ext4 $MIB
	serves
	gives_space_back "$BACKING"
	say "fio wrote 12 MiB and read $READS MiB from the device"
	[ "$READS" -ge 12 ] || fail "the page cache was used"
	expect "lines about direct I/O" 0 "$(klog_count 'no direct I/O')"
}

file_on_ext4_buffered() {
	load
	back_file ext4 $MIB
	serves direct_io=0
	say "fio wrote 12 MiB and read $READS MiB from the device"
	[ "$READS" -lt 6 ] || fail "the page cache was not used"
}

file_on_xfs() {
	load
	back_file xfs $MIB
	serves
	gives_space_back "$BACKING"
}

# No direct I/O there: the page cache is used without being asked for.
file_on_tmpfs() {
	load
	BACKING_MNT=$TMP/tmpfs
	mkdir "$BACKING_MNT"
	at_end rmdir "$BACKING_MNT"
	mount -t tmpfs tmpfs "$BACKING_MNT"
	at_end umount "$BACKING_MNT"
	BACKING=$BACKING_MNT/disk
	truncate -s ${MIB}M "$BACKING"
	serves
}

null_blk() {
	back_null_blk $MIB
	serves
}

loop() {
	back_loop $MIB
	serves
	gives_space_back "$BACKING_FILE"
}

lvm_volume() {
	back_lvm $MIB
	serves
}

nvme_tcp() {
	back_nvme $MIB
	serves
}

nbd() {
	back_nbd $MIB
	serves
}

# through_libblkio [ATTR=VALUE...]: and the backing has what was written
through_libblkio() {
	need_libblkio
	load
	disk_on back0 "$BACKING" "$@"
	CHR=$(disk_chr back0)
	io "write -P 0x41 0 1M" "write -P 0x42 1M 3M" "write -z 2M 64k" \
		"aio_write -P 0x43 8M 4M" "aio_write -P 0x44 12M 64k" \
		"aio_flush" "flush" "read -P 0x41 0 1M" "read -P 0x42 1M 1M" \
		"read -P 0 2M 64k" "read -P 0x43 8M 4M" "read -P 0x44 12M 64k"
	expect "bytes in the backing" $((4 << 20)) \
		"$(contents "$BACKING" | tr -dc C | wc -c)"
	expect "requests that failed" 0 "$(vq_sum back0 errors)"
}

libblkio_on_null_blk() {
	back_null_blk $MIB
	through_libblkio
	expect "bounced bytes" 0 "$(vq_sum back0 bounced_bytes)"
}

libblkio_on_a_file() {
	load
	back_file ext4 $MIB
	through_libblkio
	expect "bounced bytes" 0 "$(vq_sum back0 bounced_bytes)"
}

libblkio_on_blocks_of_4096() {
	back_null_blk $MIB blocksize=4096
	through_libblkio block_size=4096
}

run_cases file_on_ext4 file_on_ext4_buffered file_on_xfs file_on_tmpfs \
	null_blk loop lvm_volume nvme_tcp nbd libblkio_on_null_blk \
	libblkio_on_a_file libblkio_on_blocks_of_4096
