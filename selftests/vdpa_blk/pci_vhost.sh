#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The C clients of /dev/vhost-vdpa-N on virtio-blk functions. A case is a program;
# its log tells the rest. What they ask of a device that executes requests itself
# is not for the driver of a function to answer, and left out.

. "$(dirname "$0")/pci_common.sh"

# Whether what selftests/vm/pci.sh makes its functions like can be relied on: its
# VM has both.
IN_OUR_VM=${VM_KERNEL:+${VDPA_BLK_QMP:+yes}}

# program NAME [ARG...]: on the function FN
program() {
	local name=$1 rc=0
	shift
	[ -x "$HERE/$name" ] || skip "$name is not built"
	"$HERE/$name" "$@" || rc=$?
	[ $rc -ne $KSFT_SKIP ] || skip "$name was skipped"
	return $rc
}

# resize_one MIB
resize_one() {
	qmp block_resize "{\"device\": \"one\", \"size\": $(($1 << 20))}"
}

grow_one() {
	resize_one 512
}

# They want commands of their own.
WANTS_MORE=(-T lost_while_running -T a_new_size_is_an_interrupt
	-T what_is_not_answered_is_not_accepted)
WANTS_RESET=(-T reset_by_somebody_else_while_it_is_set_up)

vhost_pci_main() {
	local reset=
	fn_bind main
	[ ! -w "$PCI/devices/$FN/reset" ] || reset="bash -ec fn_reset"
	export PCI FN
	export -f fn_reset
	VDPA_BLK_DOORBELL=${IN_OUR_VM:+page} \
		VDPA_BLK_RESET=$reset \
		program vhost_pci "${WANTS_MORE[@]}"
}

vhost_pci_with_few_vectors() {
	fn_bind few
	VDPA_BLK_DOORBELL=${IN_OUR_VM:+none} \
		program vhost_pci -V packed "${WANTS_MORE[@]}" "${WANTS_RESET[@]}"
}

vhost_pci_with_one_queue() {
	fn_bind one
	VDPA_BLK_DOORBELL=${IN_OUR_VM:+none} \
		program vhost_pci -V packed "${WANTS_MORE[@]}" "${WANTS_RESET[@]}" \
		-T a_queue_that_was_never_set_up_can_be_enabled_and_disabled
}

resize_tells_the_client() {
	fn_bind one
	resize_one 256
	export QMP_ID
	export -f grow_one resize_one qmp qmp_ask fail
	VDPA_BLK_RESIZE="bash -ec grow_one" \
		program vhost_pci -V packed -t a_new_size_is_an_interrupt
	resize_one 256
}

out_of_reach() {
	fn_bind one
	fn_need_ones
	export PCI FN PORT PORT_BUSES ONES
	export -f fn_deaf fn_hears fn_back config_read config_write16
	VDPA_BLK_DEAF="bash -ec fn_deaf" VDPA_BLK_HEARS="bash -ec fn_hears" \
		program vhost_pci -V packed -t what_is_not_answered_is_not_accepted
}

# bypass_irqs NAME: what the driver tells vhost when a client starts all queues of
# that function: its own interrupts, or errors
bypass_irqs() {
	local tracing=/sys/kernel/tracing symbol name=vdpa_blk_selftest
	fn_bind "$1"
	symbol=$(awk -v mod="[$MOD]" '$4 == mod &&
		$3 ~ /get_vq_irq$/ && $3 !~ /^__pfx/ { print $3 }' /proc/kallsyms)
	[ -d $tracing/events ] || mount -t tracefs tracefs $tracing ||
		skip "no tracefs"
	[ -e $tracing/kprobe_events ] || skip "no kprobe events in this kernel"
	# shellcheck disable=SC2016 # the kernel's variable
	echo "r:$name/irq $symbol "'irq=$retval:s32' >> $tracing/kprobe_events
	at_end eval "echo -:$name/irq >> $tracing/kprobe_events"
	mkdir $tracing/instances/$name
	at_end rmdir $tracing/instances/$name
	echo 1 > $tracing/instances/$name/events/$name/enable
	program vhost_pci -V packed -t every_queue_works >&2
	sed -n 's/.* irq=//p' $tracing/instances/$name/trace
	echo 0 > $tracing/instances/$name/events/$name/enable
}

interrupts_can_go_to_a_guest() {
	local irq
	fn_bind main
	bypass_irqs main > "$TMP/irqs"
	expect "interrupts" "$(fn_queues)" "$(sort -u "$TMP/irqs" | grep -c .)"
	while read -r irq; do
		[ -e "$PCI/devices/$FN/msi_irqs/$irq" ] ||
			fail "interrupt $irq is not one of $FN"
	done < "$TMP/irqs"
}

shared_interrupts_cannot_go_to_a_guest() {
	bypass_irqs few > "$TMP/irqs"
	[ -s "$TMP/irqs" ] || fail "nobody asked"
	expect "interrupts" "" "$(grep -v '^-' "$TMP/irqs" || :)"
}

# QEMU's function has no ring at IOVA 0, knows no other base than the first, and
# goes out of order when it cannot reach memory.
SETUP=(-T libblkio_maps_data_while_running -T back_end_features_are_offered
	-T queue_disabled_while_running_stops_and_goes_on
	-T maps_need_no_more_permission_than_is_used)

# Several queues, and their rings have 1024 entries.
vhost_setup_main() {
	fn_bind main
	program vhost_setup "${SETUP[@]}"
}

vhost_setup_with_one_queue() {
	fn_bind one
	program vhost_setup "${SETUP[@]}" -T qemu_10_0_maps_last \
		-T qemu_10_1_maps_first \
		-T call_fd_replaced_after_driver_ok_is_signalled
}

vhost_lifecycle_main() {
	fn_bind main
	program vhost_lifecycle -T maps_are_gone_after_close
}

vhost_lifecycle_with_few_vectors() {
	fn_bind few
	program vhost_lifecycle -V packed -T maps_are_gone_after_close
}

# All data are compared, on rings of every size; why lengths are not is at the
# head of that program.
vhost_rings_main() {
	fn_bind main
	VDPA_BLK_LENGTHS=${IN_OUR_VM:+unknown} \
		VDPA_BLK_REQUESTS=${VDPA_BLK_REQUESTS:-5000} \
		program vhost_rings -T ring_may_start_at_any_index
}

# Events are the function's, but their interrupts come through the driver.
vhost_layouts_main() {
	fn_bind main
	program vhost_layouts -t interrupts_come_when_asked_for_and_only_then \
		-t one_kick_serves_everything_published
}

vhost_bad_clients_main() {
	fn_bind main
	program vhost_bad_clients -V packed -t call_fd_flaps_during_completions \
		-t ring_size_changed_while_running -t kick_storms_at_any_time \
		-t features_ok_needs_version_1_and_access_platform \
		-t status_jumps_are_survived -t driver_ok_without_any_queue
}

vhost_bad_maps_main() {
	fn_bind main
	program vhost_bad_maps -V packed \
		-t overlapping_map_is_refused_and_the_old_one_stays
}

run_cases vhost_pci_main vhost_pci_with_few_vectors vhost_pci_with_one_queue \
	resize_tells_the_client out_of_reach interrupts_can_go_to_a_guest \
	shared_interrupts_cannot_go_to_a_guest vhost_setup_main \
	vhost_setup_with_one_queue vhost_lifecycle_main \
	vhost_lifecycle_with_few_vectors vhost_rings_main vhost_layouts_main \
	vhost_bad_clients_main vhost_bad_maps_main
