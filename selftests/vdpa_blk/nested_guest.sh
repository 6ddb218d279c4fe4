#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest uses the disk over PCI and over MMIO: it reads what the host wrote,
# writes what the host then reads. Over PCI the disk is a file that grows while
# the guest runs, and the ring is a packed one.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"
. "$(dirname "$0")/guest.sh"

# All that a disk in RAM offers, but for packed rings.
SPLIT=$((0xb30007e46))

# grow: once the guest has seen the disk as it is
grow() {
	wait_for $TIMEOUT guest_saw_disk
	truncate -s 8M "$TMP/disk"
	desc_set nest0 revalidate_size 1
}

# boot GROW|"" FEATURES|"" DEVICE MACHINE-ARGS...: on disk nest0
boot() {
	local grow=$1 bits=$2 device=$3 dev chr
	shift 3
	need_guest "$device"
	load
	if [ -n "$grow" ]; then
		truncate -s 2M "$TMP/disk"
		desc_add nest0 "path=$TMP/disk"
	fi
	disk_add nest0 "$bits"
	guest_fill "$(disk_blk nest0)"
	chr=$(disk_chr nest0)
	: > "$TMP/guest"
	[ -z "$grow" ] || background grow
	guest_boot "$chr" "${grow:+grow=1}" "$device" "$@"
	# Linux guests take a packed ring if there is one.
	expect "the ring" "packed: $([ -n "$bits" ] && echo 0 || echo 1)" \
		"$(grep "^packed:" "/sys/kernel/debug/$MOD/nest0/vq0")"

	dev=$(disk_blk nest0)
	guest_check "$dev"
	disk_del nest0
}

over_pci_on_a_file_that_grows() {
	boot grow "" vhost-vdpa-device-pci -M pc -vga none
}

over_mmio() {
	boot "" $SPLIT vhost-vdpa-device "${MICROVM[@]}"
}

# A boot takes minutes under emulation: one may be left out.
run_cases over_pci_on_a_file_that_grows over_mmio
