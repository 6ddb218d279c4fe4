#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes checksummed blocks of mixed sizes from several jobs to /dev/vdX
# and verifies them, with each kind of ring.

. "$(dirname "$0")/common.sh"

# All that a disk in RAM offers, but for the kind of ring.
SPLIT=$((0x330007e46))
RING_PACKED=$((1 << 34))
IN_ORDER=$((1 << 35))

# ring_is DISK NAME BIT: does the ring have what the driver has negotiated?
ring_is() {
	local bits
	bits=$(cat "$VDPA_BUS/devices/$1"/virtio*/features)
	expect "$2" "$2: ${bits:$3:1}" \
		"$(grep "^$2:" "/sys/kernel/debug/$MOD/$1/vq0")"
}

# verified ENGINE BLOCK_SIZE [FEATURES]: two jobs, each with its half of the
# disk
verified() {
	need fio
	unload
	load size=64M "block_size=$2"
	disk_add fio0 "${3:-}"
	DEV=$(disk_blk fio0)
	ring_is fio0 packed 34
	ring_is fio0 in_order 35
	say "seed $SEED"
	if ! fio --filename="$DEV" --direct=1 --ioengine="$1" --rw=randwrite \
		--verify=crc32c --verify_fatal=1 --do_verify=1 \
		--bsrange="$2-1M" --blockalign="$2" --size=24M \
		--numjobs=2 --offset_increment=32M --iodepth=16 \
		--randseed="$SEED" --group_reporting --minimal \
		--name=a > "$TMP/fio" 2>&1; then
		grep -v '^3;' "$TMP/fio"
		fail "fio failed"
	fi
	disk_del fio0
	unload
}

libaio_512() {
	verified libaio 512
}

libaio_4096_split() {
	verified libaio 4096 $SPLIT
}

io_uring_512_split_in_order() {
	need_io_uring
	verified io_uring 512 $((SPLIT | IN_ORDER))
}

io_uring_4096_packed() {
	need_io_uring
	verified io_uring 4096 $((SPLIT | RING_PACKED))
}

need_io_uring() {
	need fio
	fio --name=probe --ioengine=io_uring --filename="$TMP/probe" --size=4k \
		--rw=write --minimal > /dev/null 2>&1 ||
		skip "io_uring does not work here"
}

run_cases libaio_512 libaio_4096_split io_uring_512_split_in_order \
	io_uring_4096_packed
