# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A small guest that uses a disk as QEMU's vhost-vdpa-device. A test sources this
# file after common.sh. The guest is the one that selftests/vm/setup.sh makes; its
# init tells what it does and says how it went. Its memory is ordinary private
# memory.
#
#   need_guest DEVICE     skips the case if such a guest cannot be started
#   guest_fill DEV        what the host writes for the guest, at 0
#   guest_boot CHR APPEND DEVICE MACHINE-ARG...   on the node CHR, until it ends
#   guest_check DEV       what each wrote, seen by the other
#   result KEY            from the line the guest ends with
#   guest_saw_disk        has it told about its disk yet?
#   MICROVM               MACHINE-ARGs of one where vhost-vdpa-device works

QEMU=qemu-system-x86_64
TIMEOUT=400
# What each of the two writes: in an emulator in an emulator it costs its time.
GUEST_KIB=256
# The transport is a legacy one unless told otherwise, and vDPA is not.
# shellcheck disable=SC2034 # for tests
MICROVM=(-M "microvm,acpi=off,pit=off,pic=off,rtc=on,isa-serial=on"
	-global virtio-mmio.force-legacy=off)

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

guest_saw_disk() {
	grep -qa "guest: /dev/vda has" "$TMP/guest"
}

guest_fill() {
	head -c ${GUEST_KIB}K /dev/urandom > "$TMP/host"
	dd if="$TMP/host" of="$1" bs=64k oflag=direct status=none
	GUEST_READS=$(sum "$1" 0 $GUEST_KIB)
}

guest_boot() {
	local chr=$1 args=$2 device=$3 rc=0
	shift 3
	# A triple fault ends QEMU on every machine, microvm has no other way.
	args+=" console=ttyS0 panic=-1 reboot=t"
	# Without KVM the guest need not measure what it cannot measure well.
	[ "$(accel)" = kvm ] || args+=" tsc_early_khz=2600000 lpj=5200000"
	args+=" read_at=0 read_kib=$GUEST_KIB write_at=2048 write_kib=$GUEST_KIB"
	: > "$TMP/guest"
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
}

guest_check() {
	expect "sectors the guest sees" "$(blk_attr size "$1")" \
		"$(result sectors)"
	expect "what the host wrote, seen by the guest" "$GUEST_READS" \
		"$(result sha256)"
	expect "what the guest wrote, seen by the host" "$(result wrote)" \
		"$(sum "$1" 2048 $GUEST_KIB)"
	expect "what the host wrote, afterwards" "$GUEST_READS" \
		"$(sum "$1" 0 $GUEST_KIB)"
}
