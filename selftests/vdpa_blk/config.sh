#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the block layer shows of a disk: /sys/block/vdX/.

. "$(dirname "$0")/common.sh"

# a_disk NAME [PARAM=VALUE...]
a_disk() {
	local name=$1
	shift
	unload
	load "$@"
	disk_add "$name"
	DEV=$(disk_blk "$name")
}

# attr FILE WANT
attr() {
	expect "$1" "$2" "$(blk_attr "$1" "$DEV")"
}

size_and_blocks() {
	a_disk cfg0 size=100M
	attr size 204800
	attr ro 0
	attr queue/logical_block_size 512
	attr queue/physical_block_size 4096
	attr queue/hw_sector_size 512
	expect "blockdev --getsize64" 104857600 "$(blockdev --getsize64 "$DEV")"
}

blocks_of_4096() {
	a_disk cfg0 size=100M block_size=4096
	attr size 204800
	attr queue/logical_block_size 4096
	attr queue/physical_block_size 4096
	dd if=/dev/zero of="$DEV" bs=4k count=3 seek=1 oflag=direct status=none
	if dd if=/dev/zero of="$DEV" bs=512 count=1 oflag=direct status=none; then
		fail "half a block could be written"
	fi
}

the_serial_is_the_name() {
	a_disk serial-of-this-disk
	attr serial serial-of-this-disk
}

a_long_name_is_cut_to_20() {
	a_disk a-name-of-more-than-20-characters
	attr serial a-name-of-more-than-
}

one_hardware_queue_for_each() {
	a_disk cfg0 num_queues=3
	# virtio-blk takes no more queues than there are CPUs.
	local n want cpus
	cpus=$(getconf _NPROCESSORS_ONLN)
	want=$((cpus < 3 ? cpus : 3))
	n=$(find "/sys/block/${DEV##*/}/mq" -mindepth 1 -maxdepth 1 -type d | wc -l)
	expect "hardware queues" $want "$n"
}

discard_and_write_zeroes_limits() {
	a_disk cfg0
	attr queue/discard_granularity 4096
	# 64 MiB: what one request may ask for
	attr queue/discard_max_bytes 67108864
	attr queue/write_zeroes_max_bytes 67108864
}

segment_limits() {
	a_disk cfg0
	attr queue/max_segments 254
	attr queue/max_segment_size 4194304
}

cache_type_switches() {
	a_disk cfg0
	attr cache_type "write back"
	attr queue/write_cache "write back"
	echo "write through" > "/sys/block/${DEV##*/}/cache_type"
	attr cache_type "write through"
	attr queue/write_cache "write through"
	dd if=/dev/zero of="$DEV" bs=64k count=4 oflag=direct conv=fsync status=none
	echo "write back" > "/sys/block/${DEV##*/}/cache_type"
	attr cache_type "write back"
	dd if=/dev/zero of="$DEV" bs=64k count=4 oflag=direct conv=fsync status=none
}

# FLUSH without CONFIG_WCE: what the module was told, not to be switched.
cache_type_without_config_wce() {
	unload
	load
	disk_add cfg0 $((1 << 32 | 1 << 33 | 1 << 9))
	DEV=$(disk_blk cfg0)
	attr cache_type "write back"
	if echo "write through" > "/sys/block/${DEV##*/}/cache_type"; then
		fail "cache_type could be switched"
	fi
	attr cache_type "write back"
}

the_disk_of_the_smallest_size() {
	a_disk cfg0 size=4K
	attr size 8
	dd if=/dev/zero of="$DEV" bs=4k count=1 oflag=direct status=none
	cmp -n 4096 "$DEV" /dev/zero
}

run_cases size_and_blocks blocks_of_4096 the_serial_is_the_name \
	a_long_name_is_cut_to_20 one_hardware_queue_for_each \
	discard_and_write_zeroes_limits segment_limits cache_type_switches \
	cache_type_without_config_wce the_disk_of_the_smallest_size
