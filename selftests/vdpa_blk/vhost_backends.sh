#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The C clients of /dev/vhost-vdpa-N once more, with a file and a block device
# behind the disk instead of RAM. A case is a program; its log tells the rest.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

MIB=256
# What RAM shows with 200,000 need not be shown again by each.
export VDPA_BLK_REQUESTS=${VDPA_BLK_REQUESTS:-20000}
PROGRAMS=(vhost_requests vhost_layouts vhost_rings vhost_suspend
	vhost_lifecycle vhost_bad_clients vhost_bad_requests vhost_bad_maps)

# What is behind a disk does not know of rings: one kind will do where it takes
# minutes.
ONE_KIND=()
if [ -n "$EMULATED" ]; then
	ONE_KIND=(-V packed -V packed_indirect -V packed_direct_event_idx
		-V event_idx -V in_order)
	PROGRAMS=(vhost_requests vhost_suspend vhost_lifecycle)
fi

# program NAME [ARG...]: loads the module with parameters of its own
program() {
	local name=$1 rc=0
	shift
	[ -x "$HERE/$name" ] || skip "$name is not built"
	unload
	VDPA_BLK_PATH=$BACKING "$HERE/$name" "${ONE_KIND[@]}" "$@" || rc=$?
	[ $rc -ne $KSFT_SKIP ] || skip "$name was skipped"
	return $rc
}

on_file() {
	back_file ext4 $MIB
	program "$1"
}

on_null_blk() {
	local -a args=()
	# Its discards are aligned as a disk's in RAM, a null_blk's are not.
	[ "$1" != vhost_requests ] || args=(-T config_space_describes_the_disk)
	back_null_blk $MIB
	program "$1" "${args[@]}"
}

vhost_blocksize_on_null_blk_of_4096() {
	back_null_blk $MIB blocksize=4096
	program vhost_blocksize
}

CASES=(vhost_blocksize_on_null_blk_of_4096)
for p in "${PROGRAMS[@]}"; do
	for on in on_file on_null_blk; do
		eval "${p}_$on() { $on $p; }"
		CASES+=("${p}_$on")
	done
done
run_cases "${CASES[@]}"
