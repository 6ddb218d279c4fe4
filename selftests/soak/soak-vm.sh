#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What soak.sh runs in the VM: all kinds of clients on disks of their own at once
# for SOAK_TIME seconds, while disks are resized, sectors marked bad, and queues
# suspended. /results/soak.csv gets a line of figures every few seconds; the first
# client that fails ends it all.

# shellcheck source-path=SCRIPTDIR source=../vdpa_blk/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vdpa_blk/common.sh"
# shellcheck source-path=SCRIPTDIR source=../vdpa_blk/storage.sh
. "$HERE/storage.sh"

RANDOM=$SEED
DISKS="hostram hostfile vhost libblkio"
MIB=64
# Where sectors are marked bad; the load stays below.
BAD=$((48 << 11))

# Samples enough for a line, and no more than one a second.
STEP=$((SOAK_TIME / 120 > 1 ? SOAK_TIME / 120 : 1))

# forever NAME CMD...: until the time is over
forever() {
	local name=$1
	shift
	while [ $SECONDS -lt "$END" ]; do
		"$@" > "$TMP/$name" 2>&1 || {
			echo "$name failed:"
			tail -n 20 "$TMP/$name"
			return 1
		}
	done
}

verify() {
	fio --name=soak --filename="$1" --direct=1 --allow_file_create=0 \
		--ioengine=libaio --rw=randrw --bsrange=4k-64k --bs_unaligned=0 \
		--iodepth=16 --size=32M --io_size=64M --verify=crc32c \
		--verify_fatal=1 --verify_backlog=64 --minimal \
		--randseed="$RANDOM"
}

qemu_io() {
	local i
	local -a commands=()
	for ((i = 0; i < 32; i++)); do
		commands+=("aio_write -P $((RANDOM % 255 + 1)) ${i}M 256k")
	done
	commands+=(aio_flush flush)
	for ((i = 32; i < 60; i += 2)); do
		commands+=("write -P $i ${i}M 1M" "read -P $i ${i}M 1M"
			"discard ${i}M 1M")
	done
	CHR=$1 io "${commands[@]}"
}

has_size() {
	[ "$(blockdev --getsize64 "$1")" -eq "$2" ]
}

# It grows and never shrinks, as a driver has it.
resize() {
	local size=$MIB dev=$1
	while [ $SECONDS -lt "$END" ]; do
		size=$((size + 1))
		truncate -s ${size}M "$FILE"
		desc_set hostfile revalidate_size 1
		wait_for 60 has_size "$dev" $((size << 20)) ||
			fail "$dev has $(blockdev --getsize64 "$dev") bytes and not $size MiB"
		sleep 1.$((RANDOM % 10))
	done
}

# Marked, it fails; not marked, it does not.
mark() {
	local dev=$1 pos
	while [ $SECONDS -lt "$END" ]; do
		pos=$((BAD + RANDOM % 1000 * 8))
		desc_set hostram badblocks "$pos 8"
		refused "Input/output error" dd if="$dev" of=/dev/null bs=512 \
			count=1 skip="$pos" iflag=direct
		BAD_READS=$((BAD_READS + 1))
		echo $BAD_READS > "$TMP/bad_reads"
		desc_set hostram badblocks "-$pos 8"
		dd if="$dev" of=/dev/null bs=512 count=1 skip="$pos" \
			iflag=direct status=none
		sleep 0.$((RANDOM % 10))
	done
}

# Without what can be had back at any time
memory_used() {
	awk '/^MemTotal:/ { n += $2 } /^(MemFree|Buffers|Cached|SReclaimable):/ { n -= $2 }
		/^Shmem:/ { n += $2 } END { print n }' /proc/meminfo
}

sample() {
	local disk errors=0
	printf '%d,%d,%d' $((SECONDS - START)) "$(memory_used)" \
		"$(ps -e --no-headers | wc -l)"
	for disk in $DISKS; do
		printf ',%d' $(($(stat_field "$disk" 1) + $(stat_field "$disk" 5)))
		errors=$((errors + $(vq_sum "$disk" errors)))
	done
	# Not at the same moment: only at the end it has to be 0.
	printf ',%d\n' $((errors - $(cat "$TMP/bad_reads")))
}

figures() {
	local disk
	exec > /results/soak.csv
	printf 'seconds,memory,processes'
	for disk in $DISKS; do
		printf ',%s' "$disk"
	done
	printf ',errors\n'
	while [ $SECONDS -lt "$END" ]; do
		sample
		sleep $STEP
	done
}

make_disks() {
	disk_on hostram "" size=${MIB}M
	RAM=$(disk_blk hostram)
	back_file ext4 $MIB $((MIB * 8))
	FILE=$BACKING
	disk_on hostfile "$FILE"
	ONFILE=$(disk_blk hostfile)
	disk_on vhost "" size=${MIB}M
	VHOST=$(disk_chr vhost)
	back_null_blk $MIB
	disk_on libblkio "$BACKING"
	LIBBLKIO=$(disk_chr libblkio)
}

# start NAME CMD...: in the background
start() {
	local name=$1
	shift
	background "$@"
	NAMES[BG_PID]=$name
}

soak() {
	local job
	local -a NAMES=()
	need fio
	need_libblkio
	load num_queues=2
	make_disks
	# All memory that will be used, from the start
	for dev in "$RAM" "$ONFILE"; do
		dd if=/dev/zero of="$dev" bs=1M count=$MIB oflag=direct \
			status=none
	done
	BAD_READS=0
	echo 0 > "$TMP/bad_reads"
	START=$SECONDS
	END=$((SECONDS + SOAK_TIME))
	start figures figures
	start fio_ram forever fio_ram verify "$RAM"
	start fio_file forever fio_file verify "$ONFILE"
	start qemu_io forever qemu_io qemu_io "$LIBBLKIO"
	start soak_client "$HERE/soak_client" "$VHOST" "$SOAK_TIME" "$SEED"
	start resize resize "$ONFILE"
	start mark mark "$RAM"
	for _ in "${NAMES[@]}"; do
		wait -n -p job || fail "${NAMES[job]} failed"
	done
	sample >> /results/soak.csv
}

run_cases soak
