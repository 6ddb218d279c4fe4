#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# power-guest.sh keep|drop: what runs in the VM of power.sh until that is killed.
#
# $VM_DISK is the stable storage, and the page cache of this VM the volatile
# write cache: whatever is behind a disk is on a loop device or a file that is not
# written directly, so that the end of this VM is the end of all that was not
# flushed. Looks what is left of the last run, as /results/NAME.check, and goes
# on. With "drop" no flush gets through to the disk, by the block layer.

# shellcheck source-path=SCRIPTDIR source=../vdpa_blk/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vdpa_blk/common.sh"
# shellcheck source-path=SCRIPTDIR source=../vdpa_blk/storage.sh
. "$HERE/storage.sh"
set -e

FLUSHES=$1
STORE=$TMP/store
MIB=8

# Some of what is not flushed is written, at some time; with "drop" nothing is.
background_writes() {
	if [ "$FLUSHES" = keep ]; then
		echo 5 > /proc/sys/vm/dirty_writeback_centisecs
		echo 20 > /proc/sys/vm/dirty_expire_centisecs
	else
		echo 0 > /proc/sys/vm/dirty_writeback_centisecs
	fi
}

# image NAME MIB: made when it is not there yet
image() {
	[ -e "$STORE/$1" ] || truncate -s "$2M" "$STORE/$1"
}

# loop_on NAME MIB [LOSETUP-ARG...]
loop_on() {
	local name=$1 mib=$2
	shift 2
	image "$name" "$mib"
	BACKING=$(losetup --find --show "$@" "$STORE/$name")
}

# A file with a file system of its own, which lives through the cut as well
file_on() {
	loop_on "$1" 64
	blkid "$BACKING" > /dev/null || mkfs.ext4 -q "$BACKING"
	mkdir "$TMP/$1"
	mount "$BACKING" "$TMP/$1"
	BACKING=$TMP/$1/disk
	[ -e "$BACKING" ] || truncate -s ${MIB}M "$BACKING"
}

# at_work NAME flush|write [ATTR=VALUE...]: a disk, checked and written to
at_work() {
	local name=$1 how=$2 dev acked=/results/$1.acked rc=0
	shift 2
	disk_on "$name" "$BACKING" "$@"
	dev=$(disk_blk "$name")
	"$HERE/power_cut" check "$dev" "$acked" > "/results/$name.check" ||
		rc=$?
	echo "status $rc" >> "/results/$name.check"
	[ "$FLUSHES" = keep ] ||
		echo "write through" > "/sys/block/${dev##*/}/queue/write_cache"
	LOADS+=("$dev" "$acked" "$how")
}

# Off, a write has to be durable by itself; "drop" leaves it on.
write_through() {
	[ "$FLUSHES" = drop ] || echo write_cache=0
}

disks() {
	loop_on device $MIB
	at_work device flush
	loop_on blocks4k $MIB --sector-size 4096
	at_work blocks4k flush block_size=4096
	file_on file
	at_work file flush
	image buffered $MIB
	BACKING=$STORE/buffered
	at_work buffered flush direct_io=0
	loop_on through $MIB
	# shellcheck disable=SC2046 # nothing, or one word
	at_work through write $(write_through)
	image bufthrough $MIB
	BACKING=$STORE/bufthrough
	# shellcheck disable=SC2046
	at_work bufthrough write direct_io=0 $(write_through)
}

mkdir "$STORE"
mount "$VM_DISK" "$STORE"
background_writes
# shellcheck disable=SC2119 # no parameters
load
LOADS=()
disks
# Times are no help: of a file there they are the host's, or ours.
has_acked() {
	! cmp -s "$1" "$TMP/${1##*/}"
}

for ((i = 1; i < ${#LOADS[@]}; i += 3)); do
	cp "${LOADS[i]}" "$TMP"
done
for ((i = 0; i < ${#LOADS[@]}; i += 3)); do
	"$HERE/power_cut" load "${LOADS[@]:i:3}" "$RANDOM" &
done
# Each has something acknowledged.
for ((i = 1; i < ${#LOADS[@]}; i += 3)); do
	wait_for 60 has_acked "${LOADS[i]}"
done
echo > /results/at-work
wait -n
echo "a load has ended" > /results/failed
