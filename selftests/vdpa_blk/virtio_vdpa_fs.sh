#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# File systems on /dev/vdX: made, filled, checked, read back.

. "$(dirname "$0")/common.sh"

# round_trip FSTYPE MKFS-COMMAND CHECK-COMMAND
round_trip() {
	local fs=$1 mkfs=$2 check=$3 mnt=$TMP/mnt

	need "${mkfs%% *}" "${check%% *}"
	modprobe "$fs" 2> /dev/null || :
	grep -qw "$fs" /proc/filesystems || skip "no $fs in this kernel"
	load size=512M
	disk_add fs0
	DEV=$(disk_blk fs0)
	# shellcheck disable=SC2086 # a command with its options
	$mkfs "$DEV"
	mount_at "$mnt" -t "$fs" "$DEV"
	mkdir "$mnt/small"
	seq 100000 | split -l 500 - "$mnt/small/"
	seq 2000000 > "$mnt/large"
	cp "$mnt/large" "$mnt/copy"
	rm "$mnt/copy"
	(cd "$mnt" && find . -type f -exec sha256sum {} + | sort) > "$TMP/sums"
	say "$(wc -l < "$TMP/sums") files"
	unmount "$mnt"
	# shellcheck disable=SC2086
	$check "$DEV"
	mount_at "$mnt" -t "$fs" "$DEV"
	(cd "$mnt" && sha256sum --check --quiet "$TMP/sums")
	unmount "$mnt"
	disk_del fs0
	unload
}

ext4() {
	round_trip ext4 "mkfs.ext4 -q -F" "e2fsck -f -n"
}

xfs() {
	round_trip xfs "mkfs.xfs -q -f" "xfs_repair -n"
}

run_cases ext4 xfs
