#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The blocks of Documentation/vdpa_blk_sim.rst do what the page says, in its
# order and in one shell.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

PAGE=$TOP/Documentation/vdpa_blk_sim.rst
IMAGES=/srv/images

# blocks PAGE: as one script
blocks() {
	awk '/^\.\. code-block:: sh$/ { inside = 1; next }
		inside && /^[^ ]/ { inside = 0 }
		inside && NF { print substr($0, 4) }' "$1"
}

# A folder for the images, over what may be there.
image_folder() {
	if [ ! -d $IMAGES ]; then
		mkdir $IMAGES
		at_end rmdir $IMAGES
	fi
	back_loop 64
	back_fs ext4 "$BACKING"
	mount --bind "$BACKING_MNT" $IMAGES
	at_end umount $IMAGES
}

nothing_is_in_the_way() {
	local name
	for name in disk0 disk1; do
		! disk_exists $name || skip "there is a $name"
		# For the end, should a block fail.
		echo $name >> "$TMP/disks"
		at_end desc_del $name
	done
}

the_blocks_of_the_page() {
	[ -r "$PAGE" ] || skip "no $PAGE"
	need_configfs
	load
	nothing_is_in_the_way
	image_folder
	# The page loads it, if modprobe can find it.
	if [ -n "$MOD_INSTALLED" ]; then
		unload
	else
		echo "modprobe() { [ \$1 = $MOD ] || command modprobe \"\$@\"; }"
	fi > "$TMP/blocks"
	blocks "$PAGE" >> "$TMP/blocks"
	[ "$(grep -c "vdpa dev add" "$TMP/blocks")" -ge 2 ] ||
		fail "the page has other blocks"
	(cd / && sh -ex "$TMP/blocks")

	expect "disks" 1 "$(klog_count "$MOD: disk0: RAM disk of 1073741824 ")"
	expect "disks" 1 \
		"$(klog_count "$MOD: disk1: file disk of 1073741824 .*queues 2")"
	expect "new sizes of /dev/vdX" 1 "$(klog_count "new size: 4194304 ")"
	expect "disks that are left" "" "$(disks)"
	expect "descriptions that are left" "features" "$(ls "$DESCS")"
}

run_cases the_blocks_of_the_page
