#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module itself: version, parameters, loading and unloading.

. "$(dirname "$0")/common.sh"

PARAMS="size num_queues block_size poll_us write_cache"

version_matches_dkms_conf() {
	local want
	[ -e "$TOP/dkms.conf" ] || skip "no dkms.conf in $TOP"
	want=$(sed -n 's/^PACKAGE_VERSION="\?\([^"]*\)"\?$/\1/p' "$TOP/dkms.conf")
	[ -n "$want" ] || fail "no PACKAGE_VERSION in dkms.conf"
	expect version "$want" "$(modinfo -F version "$MOD_FILE")"
}

parameters_are_described() {
	local p text
	for p in $PARAMS; do
		text=$(modinfo -p "$MOD_FILE" | grep "^$p:") ||
			fail "$p has no description"
		say "$text"
		echo "$text" | grep -qi default ||
			fail "$p: its default is not described"
	done
	modinfo -p "$MOD_FILE" | grep '^size:' | grep -qi byte ||
		fail "size: its unit is not described"
	modinfo -p "$MOD_FILE" | grep '^block_size:' | grep -qi byte ||
		fail "block_size: its unit is not described"
}

# a_disk [PARAM=VALUE...]: loads the module, makes disk "mod0", sets DEV
a_disk() {
	unload
	load "$@"
	disk_add mod0
	DEV=$(disk_blk mod0)
}

drop_disk() {
	disk_del mod0
	unload
}

queues() {
	vdpa dev show mod0 | grep -o 'max_vqs [0-9]*' | cut -d' ' -f2
}

defaults() {
	local cpus
	a_disk
	cpus=$(getconf _NPROCESSORS_ONLN)
	expect "sectors" 2097152 "$(blk_attr size "$DEV")"
	expect "queues" $((cpus < 8 ? cpus : 8)) "$(queues)"
	expect "block size" 512 "$(blk_attr queue/logical_block_size "$DEV")"
	expect "cache" "write back" "$(blk_attr queue/write_cache "$DEV")"
	drop_disk
}

sizes_take_suffixes() {
	local s sizes="1048576:2048 512K:1024 3M:6144 2G:4194304 5T:10737418240"
	[ -z "$SLOW" ] || sizes="3M:6144 5T:10737418240"
	for s in $sizes; do
		say "size=${s%:*}"
		a_disk "size=${s%:*}"
		expect "sectors" "${s#*:}" "$(blk_attr size "$DEV")"
		drop_disk
	done
}

numbers_of_queues() {
	local n
	for n in 1 3 64; do
		say "num_queues=$n"
		unload
		load num_queues=$n
		disk_add mod0
		expect "queues" $n "$(queues)"
		expect "parameter" $n "$(param num_queues)"
		drop_disk
	done
}

block_size_4096() {
	a_disk block_size=4096
	expect "block size" 4096 "$(blk_attr queue/logical_block_size "$DEV")"
	expect "sectors" 2097152 "$(blk_attr size "$DEV")"
	drop_disk
}

write_cache_off() {
	a_disk write_cache=off
	expect "cache" "write through" "$(blk_attr queue/write_cache "$DEV")"
	drop_disk
}

bad_values_are_refused() {
	local v n bad
	bad="size=0 size=99999999999T num_queues=65 block_size=1024 poll_us=10001
		write_cache=maybe"
	[ -n "$SLOW" ] || bad+=" size=abc size=1X size=100 num_queues=0
		num_queues=abc num_queues=-1 block_size=0 block_size=513
		block_size=8192"
	unload
	for v in $bad; do
		klog_mark "$v"
		refused "Invalid (argument|parameters)" mod_insert "$v"
		! mod_loaded || fail "$v: loaded all the same"
		# The kernel adds a line of its own to ours when a parameter,
		# and not the module as a whole, says no.
		klog | grep "$MOD: .*\<${v%=*}\>" > "$TMP/log" || :
		n=$(grep -vc "invalid for parameter" "$TMP/log" || :)
		if [ "$n" -ne 1 ] && [ "$v" != write_cache=maybe ]; then
			fail "$v: $n log lines name ${v%=*}, expected one"
		fi
		[ -s "$TMP/log" ] || fail "$v: no log line names ${v%=*}"
		say "$v: $(head -n 1 "$TMP/log")"
	done
}

loads_and_unloads_repeatedly() {
	local i
	unload
	for i in $(seq "$(often 10 4)"); do
		load
		[ $((i % 4)) -ne 0 ] || disk_add mod0
		[ $((i % 4)) -ne 0 ] || disk_del mod0
		rmmod "$MOD"
	done
	! mod_loaded || fail "still loaded"
}

# The bus removes the disks of a management device that goes away, so
# unloading needs no "vdpa dev del" first.
unloading_removes_the_disks() {
	unload
	load
	disk_add mod0
	disk_add mod1
	disk_bind mod1 virtio_vdpa
	rmmod "$MOD"
	! disk_exists mod0 || fail "mod0 is still there"
	! disk_exists mod1 || fail "mod1 is still there"
}

run_cases version_matches_dkms_conf parameters_are_described defaults \
	sizes_take_suffixes numbers_of_queues block_size_4096 write_cache_off \
	bad_values_are_refused loads_and_unloads_repeatedly \
	unloading_removes_the_disks
