# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Virtio-blk functions for the tests of vdpa_blk_pci. A test sources this file
# instead of common.sh. No function is touched that the user has not named:
#
#   VDPA_BLK_PCI      names and addresses, "main=0000:3b:00.2 one=0000:3b:00.3":
#                       main         with several queues
#                       few          with fewer interrupt vectors than queues
#                       one          with one queue
#                       lonely       with one interrupt vector for all
#                       gone gone2 gone3 gone4   to be unplugged
#                       transitional legacy novectors rng ones   to be refused
#                       ones         reads as ones and cannot be written, and can
#                                    be put over the registers of others
#                     What is on their disks is lost.
#   VDPA_BLK_QMP      a serial port with the monitor of the QEMU we are in
#   VDPA_BLK_MODNAME  the module to test; vp_vdpa can be compared
#
# The VM that selftests/vm/vm.sh starts with VM_PCI=1 has all of it. Afterwards
# each function has the driver that it had before.
#
#   fn NAME               sets FN to its address and MGMTDEV; skips without it
#   fn_bind NAME          fn, and our driver has it
#   fn_take               gives FN to our driver
#   fn_try_bind NAME      the same where that fails: prints what the kernel says
#   fn_unbind             nobody has FN
#   fn_driver             prints who has it
#   fn_said N REGEX       that many lines of the log name FN, or $DISK, and say so
#   fn_plugged            is it there?
#   fn_reset              resets it as a PCI function
#   fn_unplug             surprise removal: its slot loses its power
#   fn_deaf               its registers read as ones and take nothing
#   fn_hide               so does its configuration space
#   fn_hears              ends both
#   fn_queues             prints the number of its queues
#   fn_features           prints what virtio_blk negotiates with it
#   qmp COMMAND [JSON]    for QEMU; skips without a monitor

export VDPA_BLK_MODNAME=${VDPA_BLK_MODNAME:-vdpa_blk_pci}

# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

PCI=/sys/bus/pci
# Dashes and underscores differ in the name of a module and of its driver.
PCI_DRIVER=$MOD
[ "$MOD" != vp_vdpa ] || PCI_DRIVER=vp-vdpa

[ -n "${VDPA_BLK_PCI:-}" ] ||
	skip_all "VDPA_BLK_PCI names no PCI function that may be used"

# Feature bits; without F_BASE no vDPA block device can be driven.
# shellcheck disable=SC2034 # for tests
declare -r F_RO=$((1 << 5)) F_FLUSH=$((1 << 9)) F_MQ=$((1 << 12)) \
	F_CONFIG_WCE=$((1 << 11)) F_EVENT_IDX=$((1 << 29)) \
	F_VERSION_1=$((1 << 32)) F_ACCESS_PLATFORM=$((1 << 33)) \
	F_PACKED=$((1 << 34)) F_BASE=$((3 << 32))

# The one that the tests make.
DISK=pci0

# Those on all of the functions.
disks() {
	local d parent
	for d in "$VDPA_BUS"/devices/*; do
		parent=$(basename "$(dirname "$(realpath "$d")")")
		[[ " $VDPA_BLK_PCI " != *"=$parent "* ]] || echo "${d##*/}"
	done
}

# ---- functions ------------------------------------------------------------

fn() {
	local pair
	FN=
	for pair in $VDPA_BLK_PCI; do
		[ "${pair%%=*}" != "$1" ] || FN=${pair#*=}
	done
	[ -n "$FN" ] || skip "VDPA_BLK_PCI names no function \"$1\""
	fn_plugged || skip "there is no $FN any more"
	fn_set "$FN"
}

fn_set() {
	FN=$1
	MGMTDEV=pci/$FN
	export VDPA_BLK_MGMTDEV=$MGMTDEV
}

fn_plugged() {
	[ -d "$PCI/devices/$FN" ]
}

fn_driver() {
	local d
	d=$(readlink "$PCI/devices/$FN/driver") || return 0
	echo "${d##*/}"
}

fn_unbind() {
	[ -z "$(fn_driver)" ] || echo "$FN" > "$PCI/devices/$FN/driver/unbind"
}

# fn_give_back ADDRESS DRIVER OVERRIDE: as it was
fn_give_back() {
	local FN=$1
	fn_plugged || return 0
	[ "$(fn_driver)" != "$2" ] || [ -z "$2" ] || return 0
	fn_unbind
	echo "$3" > "$PCI/devices/$FN/driver_override"
	[ -z "$2" ] || echo "$FN" > "$PCI/drivers/$2/bind"
}

fn_keep() {
	local override
	override=$(cat "$PCI/devices/$FN/driver_override")
	[ "$override" != "(null)" ] || override=
	at_end fn_give_back "$FN" "$(fn_driver)" "$override"
}

fn_reset() {
	echo 1 > "$PCI/devices/$FN/reset"
}

fn_try_bind() {
	fn "$1"
	load
	fn_keep
	fn_unbind
	echo "$PCI_DRIVER" > "$PCI/devices/$FN/driver_override"
	(echo "$FN" > "$PCI/drivers/$PCI_DRIVER/bind") 2>&1
}

# With the steps of the documentation.
fn_bind() {
	fn "$1"
	load
	[ "$(fn_driver)" != "$PCI_DRIVER" ] || return 0
	fn_keep
	fn_take
}

fn_take() {
	echo "$PCI_DRIVER" > "$PCI/devices/$FN/driver_override"
	fn_unbind
	echo "$FN" > "$PCI/drivers_probe"
	expect "driver of $FN" "$PCI_DRIVER" "$(fn_driver)"
}

fn_said() {
	local lines
	lines=$(klog | grep -E "($FN|$DISK)" | grep -Ei "$2" || :)
	say "${lines:-no line of the log has $2}"
	expect "log lines of $FN with '$2'" "$1" \
		"$(echo "$lines" | grep -c . || :)"
}

fn_queues() {
	vdpa mgmtdev show "$MGMTDEV" |
		sed -n 's/.*max_supported_vqs \([0-9]*\).*/\1/p'
}

# features_number BITS: as sysfs has them, a digit for each; the first is bit 0
features_number() {
	local i sum=0
	for ((i = 0; i < 64; i++)); do
		sum=$((sum | ${1:i:1} << i))
	done
	echo $sum
}

# virtio_features: what virtio_blk has negotiated with the disk
virtio_features() {
	features_number "$(cat "$PCI/devices/$FN"/virtio*/features)"
}

fn_features() {
	disk_add $DISK
	disk_blk $DISK > /dev/null
	virtio_features
	disk_del $DISK
}

# ---- configuration space --------------------------------------------------

# config_read DEVICE OFFSET SIZE: as a number
config_read() {
	od -An -v -t "u$3" -j $(($2)) -N "$3" "$PCI/devices/$1/config" | tr -d ' '
}

# config_write16 DEVICE OFFSET VALUE
config_write16() {
	local bytes
	bytes=$(printf '\\x%02x\\x%02x' $(($3 & 255)) $(($3 >> 8)))
	printf '%b' "$bytes" | dd of="$PCI/devices/$1/config" bs=2 count=1 \
		seek=$(($2)) oflag=seek_bytes conv=notrunc status=none
}

# pcie_capability DEVICE: where it is
pcie_capability() {
	local at
	at=$(config_read "$1" 0x34 1)
	while [ "$at" -ne 0 ]; do
		if [ "$(config_read "$1" "$at" 1)" -eq 16 ]; then
			echo "$at"
			return
		fi
		at=$(config_read "$1" $((at + 1)) 1)
	done
	return 1
}

# A slot that loses its power is empty for QEMU at once: nobody is asked, and nobody
# is there to be read from. The kernel hears of it when the slot has
# power and interrupts again, as one whose card was pulled; it would not look for
# a card in a slot without power.
fn_unplug() {
	local port at control
	port=$(basename "$(dirname "$(realpath "$PCI/devices/$FN")")")
	at=$(($(pcie_capability "$port") + 0x18))
	control=$(config_read "$port" $at 2)
	# Power controller and indicator off, no interrupts.
	config_write16 "$port" $at $(((control | 0x700) & ~0x20))
	config_write16 "$port" $at "$control"
}

# fn_need_ones: sets ONES, and PORT to the bridge that nothing but FN is behind
fn_need_ones() {
	local parent own=$FN
	parent=$(dirname "$(realpath "$PCI/devices/$FN")")
	[ -e "$parent/secondary_bus_number" ] || skip "$FN is not behind a port"
	[ "$(find "$parent" -mindepth 2 -maxdepth 2 -name vendor | grep -c .)" -eq 1 ] ||
		skip "$FN is not alone behind its port"
	PORT=${parent##*/}
	PORT_BUSES=$(config_read "$PORT" 0x18 2)
	fn ones
	ONES=$FN
	fn_set "$own"
	at_end fn_back "$ONES" "$PORT" "$PORT_BUSES"
}

# fn_back ONES PORT BUSES
fn_back() {
	config_write16 "$1" 4 0
	config_write16 "$2" 0x18 "$3"
}

# Registers of virtio are behind the fourth base address, the ones behind the second.
fn_deaf() {
	local i
	for i in 0 2 4 6; do
		config_write16 "$ONES" $((0x18 + i)) \
			"$(config_read "$FN" $((0x20 + i)) 2)"
	done
	config_write16 "$ONES" 4 2
}

fn_hears() {
	fn_back "$ONES" "$PORT" "$PORT_BUSES"
}

# The bus has another number.
fn_hide() {
	fn_deaf
	config_write16 "$PORT" 0x18 $((PORT_BUSES & 0xff))
}

# ---- QEMU -----------------------------------------------------------------

QMP_ID=0

# qmp_ask COMMAND [JSON]: prints the line that has our number; events come in
# between. Descriptor 8 is the monitor.
qmp_ask() {
	local line id=$$-$BASHPID-$((++QMP_ID)) arguments=${2:+, \"arguments\": $2}
	echo "{\"execute\": \"$1\", \"id\": \"$id\"$arguments}" >&8
	while read -r -t 60 line <&8; do
		[[ $line != *"\"id\": \"$id\""* ]] || break
	done
	echo "$line"
	[[ $line == *"\"id\": \"$id\""* ]]
}

# What the port echoed before it was raw is half a greeting, and QEMU would take all
# that follows for a part of that: a control character has it start anew. That the
# mode is on already is an answer, too.
qmp() {
	local answer
	[ -c "${VDPA_BLK_QMP:-}" ] || skip "VDPA_BLK_QMP names no monitor of QEMU"
	exec 8<> "$VDPA_BLK_QMP"
	printf '\001\n' >&8
	qmp_ask qmp_capabilities > /dev/null || fail "QEMU does not answer"
	answer=$(qmp_ask "$@") || fail "QEMU does not answer '$1'"
	exec 8>&-
	[[ $answer != *'"error"'* ]] || fail "QEMU: $answer"
}
