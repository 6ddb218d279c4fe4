# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# VM_PCI=1: an emulated IOMMU and virtio functions that a test may take away from
# their driver, break and unplug. Part of vm.sh. In the VM their addresses are in
# $VDPA_BLK_PCI, by name, as in "main=0000:01:00.0 few=0000:02:00.0"; QEMU calls
# their disks NAME and them dev-NAME.

# QEMU cannot emulate a VF that is a virtio-blk: these are plain functions.
#
# Name, place, device with its options. What has "port" for a place is behind a
# root port, where it can be unplugged; the others are part of the root complex.
# With ioeventfd QEMU kicks all queues at DRIVER_OK by itself, what no function has to.
PCI_BLK=virtio-blk-pci,disable-legacy=on,iommu_platform=on
PCI_FUNCTIONS="
main port $PCI_BLK,num-queues=4,queue-size=1024,page-per-vq=on,packed=on,aer=on
few port $PCI_BLK,num-queues=4,queue-size=256,vectors=2
one port $PCI_BLK,num-queues=1,queue-size=256,ioeventfd=off
lonely port $PCI_BLK,num-queues=2,queue-size=256,vectors=1
gone port $PCI_BLK,num-queues=2,queue-size=256
gone2 port $PCI_BLK,num-queues=2,queue-size=256
gone3 port $PCI_BLK,num-queues=2,queue-size=256
gone4 port $PCI_BLK,num-queues=2,queue-size=256
transitional root virtio-blk-pci,disable-legacy=off,disable-modern=off
legacy root virtio-blk-pci,disable-legacy=off,disable-modern=on
novectors root $PCI_BLK,vectors=0
rng root virtio-rng-pci,disable-legacy=on,iommu_platform=on
ones root ivshmem-plain,memdev=ones
"
PCI_DISK_SIZE=256M

# each_function COMMAND...: with name, place, slot of the root bus, device
each_function() {
	local slot=16 name place device

	while read -r name place device; do
		[ -n "$name" ] || continue
		"$@" "$name" "$place" "$(printf %02x "$slot")" "$device"
		slot=$((slot + 1))
	done <<<"$PCI_FUNCTIONS"
}

has_disk() {
	[[ $1 == virtio-blk-pci* ]]
}

# What init looks the addresses up by: bus numbers are the firmware's choice.
pci_places() {
	each_function pci_place
}

pci_place() {
	printf '%s=%s/0000:00:%s.0 ' "$1" "$2" "$3"
}

# pci_disks FOLDER
pci_disks() {
	each_function pci_disk "$1"
	head -c 16K /dev/zero | tr '\0' '\377' >"$1/ones"
}

pci_disk() {
	! has_disk "$5" || truncate -s "$PCI_DISK_SIZE" "$1/pci-$2"
}

# pci_args FOLDER: one per line. The IOMMU is first, for what follows to be behind it. Unplugging
# is up to the root ports, as on real machines, and not to ACPI.
#
# The fourth serial port is QEMU's own monitor. It can do whatever the user can
# who runs QEMU; the commands of this VM are that user's as well, and without
# VM_PCI there is no such port.
pci_args() {
	printf '%s\n' -machine kernel-irqchip=split \
		-device intel-iommu,intremap=on \
		-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off \
		-chardev "socket,id=qmp,path=$1/qmp,server=on,wait=off" \
		-mon chardev=qmp,mode=control \
		-chardev "socket,id=monitor,path=$1/qmp" \
		-serial chardev:monitor \
		-object "memory-backend-file,id=ones,size=16K,mem-path=$1/ones,share=on,readonly=on"
	each_function pci_function "$1"
}

pci_function() {
	local name=$2 slot=$4 device=$5 bus=pcie.0 addr=,addr=$4.0

	if [ "$3" = port ]; then
		bus=port-$name
		addr=
		printf '%s\n' -device \
			"pcie-root-port,id=$bus,bus=pcie.0,addr=$slot.0,slot=$((16#$slot))"
	fi
	if has_disk "$device"; then
		device+=,drive=$name
		printf '%s\n' -drive \
			"file=$1/pci-$name,if=none,format=raw,discard=unmap,cache=unsafe,id=$name"
	fi
	printf '%s\n' -device "$device,id=dev-$name,bus=$bus$addr"
}
