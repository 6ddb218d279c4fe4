#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 64 disks at once (fewer on a slow machine), each with data of its own.

. "$(dirname "$0")/common.sh"

N=$(often 64 16)
[ -z "$EMULATED" ] || N=8

# pattern DISK: 64 KiB that no other disk has
pattern() {
	yes "this is disk $1" | head -c 65536
}

# each FUNCTION: for every disk, all at the same time
each() {
	local i pids=()
	for ((i = 1; i <= N; i++)); do
		"$1" "$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
}

bind() {
	disk_blk "many$1" > "$TMP/dev$1"
}

unbind() {
	disk_unbind "many$1"
}

write_pattern() {
	pattern "$1" | dd of="$(cat "$TMP/dev$1")" bs=64k iflag=fullblock \
		oflag=direct status=none
}

check_pattern() {
	pattern "$1" > "$TMP/want$1"
	dd if="$(cat "$TMP/dev$1")" bs=64k count=1 iflag=direct status=none |
		cmp - "$TMP/want$1"
}

io_on_many_disks_at_once() {
	local i files
	unload
	load size=1G num_queues=1
	modprobe virtio_blk
	modprobe virtio_vdpa || skip "no virtio_vdpa in this kernel"
	autoprobe 0
	for ((i = 1; i <= N; i++)); do
		disk_add "many$i"
	done
	expect "disks" "$N" "$(disks | wc -l)"
	each bind
	expect "block devices" "$N" "$(cat "$TMP"/dev* | sort -u | wc -l)"
	each write_pattern
	each check_pattern
	if command -v fio > /dev/null; then
		files=$(cat "$TMP"/dev*)
		fio --name=all --filename="${files//$'\n'/:}" --direct=1 \
			--allow_file_create=0 --ioengine=libaio --rw=randwrite \
			--bs=4k --size=$((N * 128))k --iodepth=64 \
			--randseed="$SEED" --verify=crc32c --do_verify=1 \
			--verify_fatal=1 --file_service_type=roundrobin \
			--minimal > "$TMP/fio" ||
			{ grep -v '^3;' "$TMP/fio"; fail "fio failed"; }
	fi
	each unbind
	for ((i = 1; i <= N; i++)); do
		disk_del "many$i"
	done
	expect "disks left" "" "$(disks)"
	unload
}

run_cases io_on_many_disks_at_once
