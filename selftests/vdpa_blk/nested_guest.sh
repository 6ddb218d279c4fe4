#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with ordinary private memory uses the disk as QEMU's
# vhost-vdpa-device, over PCI and over MMIO: it reads what the host wrote,
# writes what the host then reads. Over PCI the disk is a file that grows while
# the guest runs, and the ring is a packed one. The guest is the small one that
# selftests/vm/setup.sh makes; its init tells what it does and says how it went.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

# All that a disk in RAM offers, but for packed rings.
SPLIT=$((0xb30007e46))

QEMU=qemu-system-x86_64
TIMEOUT=400

need_guest() {
	need $QEMU timeout
	if ! [ -r "${GUEST_KERNEL:-}" ] || ! [ -r "${GUEST_INITRD:-}" ]; then
		skip "no guest: GUEST_KERNEL and GUEST_INITRD are not set"
	fi
	$QEMU -device help 2> /dev/null | grep -q "\"$1\"" ||
		skip "this QEMU has no $1"
}

# /dev/kvm can exist where nothing boots under it.
accel() {
	if [ -w /dev/kvm ] && grep -Eqw 'svm|vmx' /proc/cpuinfo; then
		echo kvm
	else
		echo tcg
	fi
}

# sum DEV AT_KIB KIB
sum() {
	dd if="$1" bs=64k skip=$(($2 / 64)) count=$(($3 / 64)) iflag=direct \
		status=none | sha256sum | cut -d' ' -f1
}

# result KEY: from the line the guest ends with
result() {
	sed -n 's/.*GUEST-RESULT: ok .*\b'"$1"'=\([^ \r]*\).*/\1/p' "$TMP/guest"
}

# grow: once the guest has seen the disk as it is
grow() {
	wait_for $TIMEOUT grep -qa "guest: /dev/vda has" "$TMP/guest"
	truncate -s 8M "$TMP/disk"
	desc_set nest0 revalidate_size 1
}

# boot GROW|"" FEATURES|"" DEVICE MACHINE-ARGS...: on disk nest0, which has 1 MiB
# of the host at 0
boot() {
	local grow=$1 bits=$2 device=$3 dev chr want args rc=0
	shift 3
	need_guest "$device"
	load
	if [ -n "$grow" ]; then
		truncate -s 2M "$TMP/disk"
		desc_add nest0 "path=$TMP/disk"
	fi
	disk_add nest0 "$bits"
	dev=$(disk_blk nest0)
	head -c 1M /dev/urandom > "$TMP/host"
	dd if="$TMP/host" of="$dev" bs=64k oflag=direct status=none
	want=$(sum "$dev" 0 1024)
	chr=$(disk_chr nest0)

	# A triple fault ends QEMU on every machine, microvm has no other way.
	args="console=ttyS0 panic=-1 reboot=t"
	# Without KVM the guest need not measure what it cannot measure well.
	[ "$(accel)" = kvm ] || args+=" tsc_early_khz=2600000 lpj=5200000"
	args+=" read_at=0 read_kib=1024 write_at=2048 write_kib=1024"
	args+="${grow:+ grow=1}"
	: > "$TMP/guest"
	[ -z "$grow" ] || background grow
	timeout $TIMEOUT $QEMU "$@" -accel "$(accel)" -cpu qemu64 -m 128M \
		-nodefaults -display none -serial stdio -no-reboot \
		-kernel "$GUEST_KERNEL" -initrd "$GUEST_INITRD" \
		-append "$args" -device "$device,vhostdev=$chr" \
		< /dev/null > "$TMP/guest" 2>&1 || rc=$?
	if [ $rc -ne 0 ] || ! grep -qa "GUEST-RESULT: ok" "$TMP/guest"; then
		tail -n 20 "$TMP/guest"
		fail "the guest did not work, QEMU ended with $rc"
	fi
	grep -a "GUEST-RESULT" "$TMP/guest"
	# Linux guests take a packed ring if there is one.
	expect "the ring" "packed: $([ -n "$bits" ] && echo 0 || echo 1)" \
		"$(grep "^packed:" "/sys/kernel/debug/$MOD/nest0/vq0")"

	dev=$(disk_blk nest0)
	expect "sectors the guest sees" "$(blk_attr size "$dev")" \
		"$(result sectors)"
	expect "what the host wrote, seen by the guest" "$want" \
		"$(result sha256)"
	expect "what the guest wrote, seen by the host" "$(result wrote)" \
		"$(sum "$dev" 2048 1024)"
	expect "what the host wrote, afterwards" "$want" "$(sum "$dev" 0 1024)"
	disk_del nest0
}

over_pci_on_a_file_that_grows() {
	boot grow "" vhost-vdpa-device-pci -M pc -vga none
}

# The transport is a legacy one unless told otherwise, and vDPA is not.
over_mmio() {
	boot "" $SPLIT vhost-vdpa-device \
		-M microvm,acpi=off,pit=off,pic=off,rtc=on,isa-serial=on \
		-global virtio-mmio.force-legacy=off
}

# A boot takes minutes under emulation: one may be left out.
# shellcheck disable=SC2086 # words
run_cases ${NESTED_CASES:-over_pci_on_a_file_that_grows over_mmio}
