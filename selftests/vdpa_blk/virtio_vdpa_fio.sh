#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes checksummed blocks of mixed sizes from several jobs to /dev/vdX
# and verifies them.

. "$(dirname "$0")/common.sh"

# verified ENGINE BLOCK_SIZE: two jobs, each with its half of the disk
verified() {
	need fio
	unload
	load size=64M "block_size=$2"
	disk_add fio0
	DEV=$(disk_blk fio0)
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

libaio_4096() {
	verified libaio 4096
}

io_uring_512() {
	need_io_uring
	verified io_uring 512
}

io_uring_4096() {
	need_io_uring
	verified io_uring 4096
}

need_io_uring() {
	need fio
	fio --name=probe --ioengine=io_uring --filename="$TMP/probe" --size=4k \
		--rw=write --minimal > /dev/null 2>&1 ||
		skip "io_uring does not work here"
}

run_cases libaio_512 libaio_4096 io_uring_512 io_uring_4096
