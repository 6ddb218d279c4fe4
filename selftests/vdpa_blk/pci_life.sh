#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Functions that go away while they are in use: asked to, or not.

. "$(dirname "$0")/pci_common.sh"

# busy NAME: a disk on that function with I/O
busy() {
	need fio
	fn_bind "$1"
	disk_add $DISK
	DEV=$(disk_blk $DISK)
	load_on "$DEV"
	wait_for 60 io_has_begun "$DEV" || fail "no I/O on $DEV"
}

disk_gone() {
	! disk_exists $DISK
}

# It ended with errors, and not for another reason.
load_failed() {
	load_must_end
	! wait "$LOAD" || fail "fio had no error"
}

# The function, wherever it was, works.
works() {
	disk_add $DISK
	DEV=$(disk_blk $DISK)
	dd if=/dev/urandom of="$TMP/data" bs=64k count=16 status=none
	dd if="$TMP/data" of="$DEV" bs=64k oflag=direct status=none
	dd if="$DEV" of="$TMP/back" bs=64k count=16 iflag=direct status=none
	cmp "$TMP/data" "$TMP/back"
	disk_del $DISK
}

# ---- asked to -------------------------------------------------------------

deleted_under_load() {
	busy main
	disk_del $DISK
	load_failed
	works
}

moved_between_the_buses_under_load() {
	busy main
	disk_unbind $DISK
	load_failed
	disk_chr $DISK > /dev/null
	disk_del $DISK
	works
}

unbound_under_load() {
	busy main
	fn_unbind
	load_failed
	disk_gone || fail "$DISK is still there"
	fn_take
	works
}

module_removed_under_load() {
	busy main
	rmmod "$MOD"
	load_failed
	disk_gone || fail "$DISK is still there"
	load
	fn_take
	works
}

# Its own driver gets it back, with what was written.
given_back_under_load() {
	local sum dev
	busy one
	fn_unbind
	load_failed
	fn_take
	disk_add $DISK
	DEV=$(disk_blk $DISK)
	head -c 1M /dev/urandom > "$TMP/data"
	sum=$(sha256sum < "$TMP/data")
	dd if="$TMP/data" of="$DEV" bs=64k oflag=direct status=none
	fn_unbind
	echo > "$PCI/devices/$FN/driver_override"
	echo "$FN" > "$PCI/drivers_probe"
	wait_for 60 eval "[ -d '$PCI/devices/$FN'/virtio*/block/* ]" ||
		fail "virtio_blk does not take it"
	dev=/dev/$(basename "$PCI/devices/$FN"/virtio*/block/*)
	wait_for 60 [ -b "$dev" ]
	expect "data" "$sum" "$(dd if="$dev" bs=64k count=16 iflag=direct \
		status=none | sha256sum)"
}

removed_and_found_again_under_load() {
	busy main
	[ ! -e "$PCI/devices/$FN/physfn" ] ||
		skip "no rescan finds a VF: its physical function makes it"
	at_end rescan "$FN" "$(realpath "$PCI/devices/$FN/..")"
	echo 1 > "$PCI/devices/$FN/remove"
	load_failed
	disk_gone || fail "$DISK is still there"
	! fn_plugged || fail "$FN is still there"
	rescan "$FN"
	fn_plugged || fail "$FN was not found"
	fn_take
	works
}

# rescan ADDRESS: its bus, and nothing else
rescan() {
	local FN=$1
	fn_plugged || echo 1 > "/sys/class/pci_bus/${FN%:*}/rescan"
}

# QEMU presses the button of the slot. Five seconds later the kernel lets go.
unplugged_under_load() {
	busy gone
	qmp device_del '{"id": "dev-gone"}'
	wait_for 60 eval '! fn_plugged' || fail "$FN is still there"
	load_failed
	disk_gone || fail "$DISK is still there"
}

# The function forgets all it was told; the disk fails and can be made anew.
reset_by_somebody_else_under_load() {
	busy main
	[ -w "$PCI/devices/$FN/reset" ] || skip "$FN has no reset of its own"
	fn_reset
	load_failed
	disk_del $DISK
	works
}

# bus_error WHICH: until the kernel has done with it
bus_error() {
	klog_mark "error $1"
	qmp human-monitor-command \
		"{\"command-line\": \"pcie_aer_inject_error dev-main $1\"}"
	wait_for 60 klog_has "device recovery successful" ||
		fail "the kernel did not recover from $1"
}

did_io_since() {
	[ "$(blk_attr stat "$DEV")" != "$1" ]
}

# With a fatal one the link is reset, and the function with it. Others change
# nothing.
bus_errors_under_load() {
	local before
	busy main
	bus_error COMP_TIME
	before=$(blk_attr stat "$DEV")
	wait_for 60 did_io_since "$before" ||
		fail "no I/O after an error that is not fatal"
	! load_ended || fail "fio ended: $(tail -n 3 "$TMP/load")"
	fn_said 0 "error of the bus"
	bus_error DLP
	# Until the link was reset it was kept off the bus.
	fn_said 1 "came back"
	load_failed
	disk_del $DISK
	works
}

# away_until CMD...
away_until() {
	klog_mark "away until $*"
	busy main
	fn_need_ones
	fn_hide
	wait_for 60 klog_has "$FN.*is gone" || fail "no line of the log has it"
	load_failed
	fn_hears
	"$@"
	disk_del $DISK
	works
}

# Behind a link that is down it looks as if it were gone. After a reset, by
# whomever, it is there again.
away_for_a_moment_under_load() {
	away_until fn_reset
	away_until bus_error DLP
}

klog_has() {
	[ "$(klog_count "$1")" -gt 0 ]
}

# ---- resets that do not end -----------------------------------------------

# idle NAME: a disk on that function
idle() {
	fn_bind "$1"
	fn_need_ones
	disk_add $DISK
	DEV=$(disk_blk $DISK)
}

# lost_reset CMD...: the reset is lost. The one of the PCI function gets there.
lost_reset() {
	idle main
	fn_deaf
	background "$@"
	wait_for 60 klog_has "$FN.*resetting the PCI function" ||
		fail "the function was not reset"
	fn_hears
	wait "$BG_PID"
	fn_said 0 "does not come back"
}

a_reset_is_lost() {
	lost_reset vdpa dev del $DISK
	works
	klog_mark "unbind"
	lost_reset fn_unbind
	fn_take
	works
}

may_access_memory() {
	[ $(($(config_read "$FN" 4 2) & 4)) -ne 0 ]
}

# Nor does that one: it must not go on, whatever it does.
a_function_does_not_come_back() {
	idle main
	fn_deaf
	disk_del $DISK
	fn_said 1 "does not come back"
	! may_access_memory || fail "$FN may access memory"
	fn_hears
	works
	fn_said 1 "came back"
	may_access_memory || fail "$FN may not access memory"
}

# ---- while a client has /dev/vhost-vdpa-N open ---------------------------

# It need not have done anything with it.
deleted_while_held_open() {
	local chr del
	fn_bind main
	disk_add $DISK
	chr=$(disk_chr $DISK)
	exec 9<> "$chr"
	background vdpa dev del $DISK 9>&-
	del=$BG_PID
	wait_for 60 klog_has "$FN.*${chr#/dev/}.*open" ||
		fail "no line of the log names $chr"
	kill -0 "$del" || fail "the deletion did not wait"
	exec 9>&-
	wait "$del"
	fn_said 1 "open"
	klog_mark "closed"
	disk_add $DISK
	disk_chr $DISK > /dev/null
	disk_del $DISK
	fn_said 0 "open"
}

# ---- not asked ------------------------------------------------------------

# The slot is empty at once; the driver hears of it later.
lost_under_load() {
	busy gone2
	fn_unplug
	load_failed
	wait_for 60 eval '! fn_plugged' || fail "$FN is still there"
	disk_gone || fail "$DISK is still there"
	! vdpa mgmtdev show "$MGMTDEV" 2> /dev/null ||
		fail "$MGMTDEV is still there"
}

block_device_gone() {
	[ ! -e "/sys/block/${DEV##*/}" ]
}

ended() {
	! kill -0 "$1" 2> /dev/null
}

# The disk is on its way out, and waits for requests that nobody will end: QEMU has
# them for hours. It would write to what is somebody else's memory by then were the
# function found, and reset, ever again.
lost_while_it_is_deleted() {
	local del
	busy gone4
	fn_need_ones
	qmp block_set_io_throttle '{"device": "gone4", "bps": 1, "bps_rd": 0,
		"bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}'
	background vdpa dev del $DISK
	del=$BG_PID
	wait_for 60 block_device_gone || fail "$DEV is still there"
	! ended "$del" || fail "there were no requests to wait for"
	fn_hide
	wait_for 60 ended "$del" || fail "the deletion does not end"
	wait "$del"
	load_failed
	disk_gone || fail "$DISK is still there"
	echo 1 > "$PCI/devices/$FN/remove"
}

# A client that hears of it at once would be gone before anybody waits for it.
fn_unplug_with_client() {
	fn_unplug
	wait_for 60 removal_waits
}

removal_waits() {
	dmesg | grep -q "$FN.*goes when"
}

# lost_with NAME TEST: while a client has /dev/vhost-vdpa-N open
lost_with() {
	fn_bind "$1"
	[ -x "$HERE/vhost_pci" ] || skip "vhost_pci is not built"
	export -f fn_unplug_with_client removal_waits fn_unplug wait_for pcie_capability \
		config_read config_write16
	export FN PCI
	VDPA_BLK_LOSE="bash -ec fn_unplug_with_client" "$HERE/vhost_pci" -V packed -t "$2" ||
		fail "vhost_pci ended with $?"
	DISK=vvt fn_said 1 "open|in use|wait"
	wait_for 60 eval '! fn_plugged' || fail "$FN is still there"
	expect "disks on $FN" "" "$(disks)"
}

# The client is told, and the removal waits for it.
lost_with_a_client() {
	lost_with gone3 lost_while_running
}

run_cases deleted_under_load moved_between_the_buses_under_load \
	unbound_under_load module_removed_under_load given_back_under_load \
	removed_and_found_again_under_load reset_by_somebody_else_under_load \
	unplugged_under_load bus_errors_under_load \
	away_for_a_moment_under_load a_reset_is_lost \
	a_function_does_not_come_back deleted_while_held_open lost_under_load \
	lost_while_it_is_deleted lost_with_a_client
