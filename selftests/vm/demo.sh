#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh: one disk, three ways to use it. Makes a vDPA block device and uses
# it as /dev/vdX of this machine, through libblkio, and in a QEMU guest; each
# time somebody else reads what was written. Shows the commands a user would
# type. "make demo" runs it inside the test VM; with HERE=1 on this machine.
#
# Stops at the first step that fails. Takes down what it made, also on Ctrl-C.

set -uo pipefail

DISK=demo0
MOD=vdpa_blk_sim
QEMU=qemu-system-x86_64
VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$VM_DIR/../.." && pwd)
SYSFS=/sys/bus/vdpa/devices/$DISK
TMP=
STEP=0
WHAT=preparation
DISK_MADE=
LOADED=
SUMMARY=()

export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

# ---- showing it -----------------------------------------------------------

step() {
	STEP=$((STEP + 1))
	WHAT=$*
	printf '\n== %d. %s\n' "$STEP" "$*"
}

result() {
	printf '   -> %s\n' "$*"
	SUMMARY+=("$(printf '%d. %s' "$STEP" "$*")")
}

die() {
	printf '\nThe demo stopped at step %d (%s): %s\n' "$STEP" "$WHAT" "$*" >&2
	exit 1
}

# show COMMAND-LINE: a long one over several lines, broken before options
show() {
	printf '%s\n' "$1" | awk '{
		gsub(/ -/, "\001-")
		n = split($0, part, "\001")
		line = "   # " part[1]
		for (i = 2; i <= n; i++) {
			if (length(line) + length(part[i]) > 94) {
				print line " \\"
				line = "       " part[i]
			} else {
				line = line " " part[i]
			}
		}
		print line
	}'
}

# run COMMAND-LINE: shows it, runs it, keeps its output in $TMP/out
run() {
	show "$1"
	eval "$1" > "$TMP/out" 2>&1 || {
		local rc=$?
		tail -n 20 "$TMP/out" >&2
		die "that command failed ($rc)"
	}
}

# ---- taking it down -------------------------------------------------------

cleanup() {
	trap - EXIT
	trap '' INT TERM
	local pid
	for pid in $(jobs -p); do
		kill "$pid" 2> /dev/null
	done
	wait
	if [ -n "$TMP" ]; then
		! mountpoint -q "$TMP/mnt" || umount "$TMP/mnt"
	fi
	[ -z "$DISK_MADE" ] || vdpa dev del $DISK
	[ -z "$LOADED" ] || rmmod $MOD
	[ -z "$TMP" ] || rm -rf "$TMP"
}

# ---- what is needed -------------------------------------------------------

need() {
	command -v "$1" > /dev/null || die "no $1; install the package $2"
}

prepare() {
	[ "$(id -u)" -eq 0 ] || die "needs root"
	need vdpa iproute2
	need modprobe kmod
	need mkfs.ext4 e2fsprogs
	need fio fio
	need qemu-io qemu-utils
	need $QEMU qemu-system-x86
	modprobe -a configfs vdpa vhost_vdpa virtio_vdpa virtio_blk 2> /dev/null ||
		die "kernel $(uname -r) has no vDPA; without HERE=1 the demo runs in a VM"
	[ ! -e $SYSFS ] || die "there is a vDPA device $DISK already"
	# Disks are given to VMs as pinned memory.
	ulimit -l unlimited 2> /dev/null ||
		die "the limit of locked memory cannot be lifted"
	guest_files
}

# The small guest. In the VM it is there; elsewhere setup.sh makes it.
guest_files() {
	[ -z "${GUEST_KERNEL:-}" ] || return 0
	[ -x "$VM_DIR/setup.sh" ] || die "no GUEST_KERNEL and no setup.sh"
	echo "The guest's kernel is built on the first run (about 4 min)."
	if ! GUEST_KERNEL=$("$VM_DIR/setup.sh" --path guest) ||
		! GUEST_INITRD=$("$VM_DIR/setup.sh" --path initrd); then
		die "no small guest to run"
	fi
	GUEST_KERNEL+=/bzImage
	GUEST_INITRD+=/guest.cpio.gz
}

# ---- the steps ------------------------------------------------------------

load_module() {
	step "the module"
	if [ -d /sys/module/$MOD ]; then
		echo "   $MOD is loaded"
	elif modinfo $MOD > /dev/null 2>&1; then
		run "modprobe $MOD"
		LOADED=yes
	else
		[ -e "$TOP/drivers/vdpa/blk_sim/$MOD.ko" ] ||
			die "no $MOD.ko for $(uname -r); run make"
		run "insmod $TOP/drivers/vdpa/blk_sim/$MOD.ko"
		LOADED=yes
	fi
	result "$MOD on Linux $(uname -r)"
}

make_disk() {
	step "a vDPA block device"
	# Set first: an interrupted command may have made it.
	DISK_MADE=yes
	run "vdpa dev add name $DISK mgmtdev $MOD"
	run "vdpa dev show $DISK"
	sed 's/^/   /' "$TMP/out"
	result "$DISK, $(sed -n 's/.*max_vqs \([0-9]*\).*/\1/p' "$TMP/out") queues"
}

# give_to DRIVER: to one of the two drivers of the vDPA bus
give_to() {
	local now
	now=$(readlink $SYSFS/driver)
	now=${now##*/}
	[ "$now" != "$1" ] || return 0
	[ -z "$now" ] || run "echo $DISK > /sys/bus/vdpa/drivers/$now/unbind"
	run "echo $1 > $SYSFS/driver_override"
	run "echo $DISK > /sys/bus/vdpa/drivers/$1/bind"
}

# wait_dev PATTERN: the node in /dev for the first match of a sysfs pattern
wait_dev() {
	local i name
	for ((i = 0; i < 200; i++)); do
		name=$(compgen -G "$1" | head -n 1)
		name=/dev/${name##*/}
		if [ -b "$name" ] || [ -c "$name" ]; then
			DEV=$name
			return
		fi
		sleep 0.1
	done
	die "no device node for $1"
}

on_this_machine() {
	step "the disk on this machine: virtio-vdpa"
	give_to virtio_vdpa
	wait_dev "$SYSFS/virtio*/block/*"
	run "lsblk -o NAME,SIZE,PHY-SEC,LOG-SEC,TYPE $DEV"
	sed 's/^/   /' "$TMP/out"
	run "mkfs.ext4 -q -F $DEV"
	mkdir "$TMP/mnt"
	run "mount $DEV $TMP/mnt"
	run "seq 300000 > $TMP/mnt/numbers"
	sha256sum < "$TMP/mnt/numbers" > "$TMP/sum"
	run "umount $TMP/mnt"
	run "e2fsck -f -n $DEV"
	run "mount $DEV $TMP/mnt"
	sha256sum < "$TMP/mnt/numbers" | cmp -s - "$TMP/sum" ||
		die "the file differs after a new mount"
	run "umount $TMP/mnt"
	result "$DEV: ext4 made, checked, file intact after a new mount"

	step "checksummed I/O with fio"
	run "fio --name=demo --filename=$DEV --direct=1 --ioengine=libaio --iodepth=32 --rw=randwrite --bs=4k --size=32M --verify=crc32c --verify_fatal=1 --minimal"
	result "32 MiB of random 4 KiB writes, read back and verified:" \
		"$(fio_figures)"
}

# Fields of fio's terse output, version 3.
fio_figures() {
	awk -F';' '$1 == 3 { printf "%d writes/s (%.1f MiB/s), %d reads/s (%.1f MiB/s)",
		$49, $48 / 1024, $8, $7 / 1024 }' "$TMP/out"
}

# sum DEV AT_KIB KIB
sum() {
	dd if="$1" bs=64k skip=$(($2 / 64)) count=$(($3 / 64)) iflag=direct \
		status=none | sha256sum | cut -d' ' -f1
}

in_user_space() {
	local blk=$DEV opts
	step "the same disk in a user-space program: libblkio in qemu-io"
	dd if=/dev/urandom of="$blk" bs=64k count=16 oflag=direct status=none ||
		die "$blk cannot be written"
	SUM_HOST=$(sum "$blk" 0 1024)
	give_to vhost_vdpa
	wait_dev "$SYSFS/vhost-vdpa-*"
	opts="driver=virtio-blk-vhost-vdpa,path=$DEV,cache.direct=on"
	run "qemu-io --image-opts $opts -c 'write -P 0xa5 4M 4M' -c flush -c 'read -P 0xa5 4M 4M'"
	! grep -qi 'fail\|error' "$TMP/out" || die "$(grep -i 'fail\|error' "$TMP/out")"
	result "$DEV: 4 MiB written, read back and verified:" \
		"$(sed -n 's/.*ops; .*(\([0-9.]* [KMG]iB\/sec\).*/\1/p' "$TMP/out" |
			paste -sd, | sed 's/,/ written, /; s/$/ read/')"
}

# /dev/kvm can exist where nothing boots under it.
accel() {
	if [ -w /dev/kvm ] && grep -Eqw 'svm|vmx' /proc/cpuinfo; then
		echo kvm
	else
		echo tcg
	fi
}

in_a_guest() {
	local append="console=ttyS0 panic=-1 read_at=0 read_kib=1024 write_at=2048 write_kib=1024"
	step "the same disk in a QEMU guest with ordinary memory"
	[ "$(accel)" = kvm ] || {
		append+=" tsc_early_khz=2600000 lpj=5200000"
		echo "   (no KVM here: this takes about a minute)"
	}
	run "timeout 300 $QEMU -M pc -accel $(accel) -cpu qemu64 -m 128M -nodefaults -vga none -display none -serial stdio -no-reboot -kernel $GUEST_KERNEL -initrd $GUEST_INITRD -append '$append' -device vhost-vdpa-device-pci,vhostdev=$DEV < /dev/null"
	grep -qa 'GUEST-RESULT: ok' "$TMP/out" || {
		tail -n 20 "$TMP/out" >&2
		die "the guest says: $(grep -a GUEST-RESULT "$TMP/out")"
	}
	cp "$TMP/out" "$TMP/guest"
	[ "$(guest_says sha256)" = "$SUM_HOST" ] ||
		die "the guest reads something else than this machine wrote"
	result "guest on $DEV: sees $(guest_says sectors) sectors, reads what" \
		"this machine wrote, 1 MiB written at $(guest_says write)," \
		"read back at $(guest_says read)"
}

guest_says() {
	sed -n 's/.*GUEST-RESULT: ok .*\b'"$1"'=\([^ \r]*\).*/\1/p' "$TMP/guest"
}

back_on_this_machine() {
	step "back on this machine"
	give_to virtio_vdpa
	wait_dev "$SYSFS/virtio*/block/*"
	[ "$(sum "$DEV" 2048 1024)" = "$(guest_says wrote)" ] ||
		die "$DEV does not have what the guest wrote"
	[ "$(sum "$DEV" 0 1024)" = "$SUM_HOST" ] ||
		die "$DEV does not have what this machine wrote"
	[ "$(dd if="$DEV" bs=1M skip=4 count=4 iflag=direct status=none |
		tr -d '\245' | wc -c)" -eq 0 ] ||
		die "$DEV does not have what qemu-io wrote"
	result "$DEV has what the guest, qemu-io and this machine wrote"
}

remove_disk() {
	step "removing it"
	run "vdpa dev del $DISK"
	DISK_MADE=
	[ ! -e $SYSFS ] || die "$DISK is still there"
	result "$DISK is gone, its memory is free"
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
TMP=$(mktemp -d)
prepare
load_module
make_disk
on_this_machine
in_user_space
in_a_guest
back_on_this_machine
remove_disk

printf '\n== Summary: all %d steps worked\n' "$STEP"
printf '   %s\n' "${SUMMARY[@]}"
