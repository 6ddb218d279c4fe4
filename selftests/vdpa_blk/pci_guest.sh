#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest has a virtio-blk function for a disk. What is masked at "vdpa dev add"
# does not exist for it, and in a VM that can do it the disk gets larger meanwhile.

. "$(dirname "$0")/pci_common.sh"
. "$(dirname "$0")/guest.sh"

F_SEEN=$((F_VERSION_1 | F_EVENT_IDX | F_MQ))

# grow: once the guest has seen the disk as it is
grow() {
	wait_for $TIMEOUT guest_saw_disk
	qmp block_resize "{\"device\": \"main\", \"size\": $((256 << 20))}"
}

# boot DEVICE MACHINE-ARGS...
boot() {
	local all mask seen chr append="" device=$1
	shift
	need_guest "$device"
	fn_bind main
	all=$(fn_features)
	mask=$((F_PACKED | F_FLUSH | F_CONFIG_WCE))
	disk_add $DISK $((all & ~mask))
	guest_fill "$(disk_blk $DISK)"
	chr=$(disk_chr $DISK)
	if [ -c "${VDPA_BLK_QMP:-}" ]; then
		qmp block_resize "{\"device\": \"main\", \"size\": 2097152}"
		append=grow=1
		: > "$TMP/guest"
		background grow
	fi
	guest_boot "$chr" "$append" "$device" "$@"
	grep -a "^guest:" "$TMP/guest"
	# QEMU has a say in the rest.
	seen=$(features_number "$(result features)")
	expect "masked features" 0 $((seen & mask))
	expect "others" $((all & F_SEEN)) $((seen & F_SEEN))
	guest_check "$(disk_blk $DISK)"
	disk_del $DISK
}

over_pci() {
	boot vhost-vdpa-device-pci -M pc -vga none
}

over_mmio() {
	boot vhost-vdpa-device "${MICROVM[@]}"
}

# A boot takes minutes under emulation: one may be left out.
run_cases over_pci over_mmio
