#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Functions that vdpa_blk_pci takes and those that it refuses; "vdpa mgmtdev" and
# "vdpa dev" on one of them.

. "$(dirname "$0")/pci_common.sh"

# ---- whose function is it? ------------------------------------------------

owners() {
	local pair FN
	for pair in $VDPA_BLK_PCI; do
		FN=${pair#*=}
		! fn_plugged || echo "$pair $(fn_driver)"
	done
}

nothing_is_taken_that_was_not_given() {
	local before
	unload
	before=$(owners)
	load
	expect "drivers of all functions" "$before" "$(owners)"
	expect "aliases of the module" "" "$(modinfo -F alias "$MOD_FILE")"
	unload
	expect "drivers of all functions afterwards" "$before" "$(owners)"
}

a_bound_function_is_a_management_device() {
	local out
	fn_bind main
	out=$(vdpa mgmtdev show "$MGMTDEV")
	say "$out"
	grep -q "supported_classes block" <<< "$out" || fail "class is not block"
	[ "$(fn_queues)" -gt 1 ] || fail "$(fn_queues) queues"
	grep -qw VERSION_1 <<< "$out" || fail "VERSION_1 is missing"
	grep -qw ACCESS_PLATFORM <<< "$out" || fail "ACCESS_PLATFORM is missing"
	expect "features that concern the transport" "" "$(grep -Eoi \
		'\S*(SR_IOV|NOTIF\w*DATA|RING_RESET|ADMIN_VQ|NOTIF_CONFIG|bit_?(26|37|38|39|40|41))\b' \
		<<< "$out" || :)"
	fn_unbind
	refused "No such device" vdpa mgmtdev show "$MGMTDEV"
}

a_function_can_be_bound_again() {
	local i
	fn_bind one
	for i in 1 2 3; do
		fn_unbind
		fn_take
		disk_add $DISK
		disk_del $DISK
	done
	fn_unbind
	echo > "$PCI/devices/$FN/driver_override"
	echo "$FN" > "$PCI/drivers_probe"
	expect "driver without an override" virtio-pci "$(fn_driver)"
}

each_function_has_its_own_disk() {
	local first
	fn_bind main
	disk_add $DISK
	first=$FN
	fn_bind one
	disk_add pci1
	vdpa dev show $DISK | grep -q "mgmtdev pci/$first " ||
		fail "$DISK is not on $first"
	vdpa dev show pci1 | grep -q "mgmtdev pci/$FN " ||
		fail "pci1 is not on $FN"
	fn_unbind
	disk_exists $DISK || fail "the other function's disk is gone"
	! disk_exists pci1 || fail "the disk of an unbound function is there"
}

the_module_can_go_with_functions_bound() {
	local i
	fn_bind main
	disk_add $DISK
	for i in 1 2; do
		rmmod "$MOD"
		! disk_exists $DISK || fail "$DISK is still there"
		expect "driver of $FN" "" "$(fn_driver)"
		load
		fn_take
		disk_add $DISK
	done
	disk_del $DISK
}

# ---- refused at bind ------------------------------------------------------

# refuses NAME REGEX: with one line that has the address, and a reason
refuses() {
	local said
	if said=$(fn_try_bind "$1"); then
		fail "$FN was taken"
	fi
	fn "$1"
	say "$said"
	expect "driver of $FN" "" "$(fn_driver)"
	refused "No such device" vdpa mgmtdev show "$MGMTDEV"
	fn_said 1 "$2"
}

not_a_disk_is_refused() {
	refuses rng "not a block device"
}

another_kind_of_device_is_refused() {
	refuses ones "not a virtio device"
}

legacy_is_refused() {
	refuses legacy "refused: .*legacy"
}

no_interrupts_are_refused() {
	refuses novectors "MSI-X"
}

dma_past_the_iommu_is_refused() {
	refuses transitional "ACCESS_PLATFORM"
}

# vhost refuses it, the log says why and what to do, and this host may use it.
without_an_iommu_it_is_for_this_host() {
	local chr dev
	fn one
	[ ! -e "$PCI/devices/$FN/iommu_group" ] ||
		skip "$FN has an IOMMU; iommu=off on the kernel's command line ends that"
	fn_bind one
	fn_said 1 "no IOMMU.*intel_iommu=on"
	disk_add $DISK
	chr=$(disk_chr $DISK)
	refused "Unknown error 524" eval "(: <> $chr)"
	dev=$(disk_blk $DISK)
	head -c 1M /dev/urandom > "$TMP/data"
	dd if="$TMP/data" of="$dev" bs=64k oflag=direct status=none
	dd if="$dev" bs=64k count=16 iflag=direct status=none |
		cmp - "$TMP/data"
	disk_del $DISK
}

# ---- vdpa dev add ---------------------------------------------------------

disks_come_and_go() {
	local i
	fn_bind main
	for i in 1 2 3; do
		disk_add $DISK
		vdpa dev show $DISK | grep -q " max_vqs $(fn_queues) " ||
			fail "not all of the queues: $(vdpa dev show $DISK)"
		vdpa dev show $DISK | grep -q "max_vq_size 1024" ||
			fail "max_vq_size is not 1024: $(vdpa dev show $DISK)"
		disk_del $DISK
	done
}

a_second_disk_is_refused() {
	fn_bind main
	disk_add $DISK
	klog_mark "second disk"
	refused "Device or resource busy" disk_add pci1
	! disk_exists pci1 || fail "there is a second disk"
	fn_said 1 .
	disk_del $DISK
	disk_add $DISK
	disk_del $DISK
}

# bad_features ERROR FEATURES REGEX: one line that says so
bad_features() {
	klog_mark "features $2"
	refused "$1" disk_add $DISK "$2"
	! disk_exists $DISK || fail "the disk is there all the same"
	fn_said 1 .
	klog | grep -Eq "$3" || fail "the line does not have $3"
}

features_it_has_not_are_refused() {
	fn_bind main
	# A zoned disk, and admin queues, which are masked.
	bad_features "Operation not supported" $((F_BASE | 1 << 17)) \
		'0x0*20000\b|\b17\b|ZONED'
	bad_features "Operation not supported" $((F_BASE | 1 << 41)) \
		'0x0*20000000000\b|\b41\b|ADMIN'
}

features_it_needs_are_demanded() {
	fn_bind main
	bad_features "Invalid argument" $((F_ACCESS_PLATFORM | F_FLUSH)) \
		'0x0*100000000\b|VERSION_1'
	bad_features "Invalid argument" $((F_VERSION_1 | F_FLUSH)) \
		'0x0*200000000\b|ACCESS_PLATFORM'
}

run_cases nothing_is_taken_that_was_not_given \
	a_bound_function_is_a_management_device a_function_can_be_bound_again \
	each_function_has_its_own_disk the_module_can_go_with_functions_bound \
	not_a_disk_is_refused another_kind_of_device_is_refused legacy_is_refused \
	no_interrupts_are_refused dma_past_the_iommu_is_refused \
	without_an_iommu_it_is_for_this_host disks_come_and_go \
	a_second_disk_is_refused features_it_has_not_are_refused \
	features_it_needs_are_demanded
