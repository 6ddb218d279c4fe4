#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# /dev/vhost-vdpa-N through libblkio, as qemu-io uses it.

. "$(dirname "$0")/common.sh"

a_disk() {
	need_libblkio
	load
	disk_add lib0
	CHR=$(disk_chr lib0)
}

data_is_read_back() {
	a_disk
	io "write -P 0xa5 0 64k" "write -P 0x5a 1M 1M" "write -P 1 4095k 512" \
		"flush" \
		"read -P 0xa5 0 64k" "read -P 0 64k 64k" "read -P 0x5a 1M 1M" \
		"read -P 1 4095k 512"
}

a_wrong_pattern_is_noticed() {
	a_disk
	io "write -P 0xa5 0 64k"
	if io "read -P 0xa6 0 64k"; then
		fail "qemu-io does not notice wrong data"
	fi
}

data_survives_a_close() {
	a_disk
	io "write -P 0x11 0 1M" "write -P 0x22 1M 1M"
	io "read -P 0x11 0 1M" "write -P 0x33 512k 64k"
	io "read -P 0x11 0 512k" "read -P 0x33 512k 64k" "read -P 0x22 1M 1M"
}

discard_and_write_zeroes() {
	a_disk
	io "write -P 0x77 0 2M" "discard 0 1M" "read -P 0 0 1M" \
		"write -z 1M 64k" "read -P 0 1M 64k" \
		"write -z -u 1088k 64k" "read -P 0 1088k 64k" \
		"read -P 0x77 1152k 64k"
}

vectors_and_many_at_once() {
	a_disk
	io "writev -P 0x44 0 4k 512 8k 64k" "readv -P 0x44 0 64k 8k 512 4k" \
		"aio_write -P 0x55 1M 64k" "aio_write -P 0x66 2M 64k" \
		"aio_flush" "read -P 0x55 1M 64k" "read -P 0x66 2M 64k"
}

the_end_of_the_disk() {
	a_disk
	io "write -P 0x12 1073741312 512" "read -P 0x12 1073741312 512"
	if io "write -P 0x12 1073741824 512"; then
		fail "a write beyond the end succeeded"
	fi
	io "read -P 0x12 1073741312 512"
}

the_other_bus_sees_the_same() {
	local dev
	a_disk
	io "write -P 0x41 0 1M" "write -P 0x42 1M 1M"
	dev=$(disk_blk lib0)
	expect "bytes A" 1048576 "$(head -c 2097152 "$dev" | tr -dc A | wc -c)"
	expect "bytes B" 1048576 "$(head -c 2097152 "$dev" | tr -dc B | wc -c)"
	tr '\0' C < /dev/zero | dd of="$dev" bs=64k count=4 seek=4 \
		iflag=fullblock oflag=direct status=none
	CHR=$(disk_chr lib0)
	io "read -P 0x41 0 256k" "read -P 0x43 256k 256k" "read -P 0x41 512k 512k"
}

run_cases data_is_read_back a_wrong_pattern_is_noticed data_survives_a_close \
	discard_and_write_zeroes vectors_and_many_at_once the_end_of_the_disk \
	the_other_bus_sees_the_same
