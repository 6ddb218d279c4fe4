#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A virtio-blk function used by this host through virtio-vdpa.

. "$(dirname "$0")/pci_common.sh"

# a_disk NAME [FEATURES]: DEV on that function
a_disk() {
	fn_bind "$1"
	disk_add $DISK "${2:-}"
	DEV=$(disk_blk $DISK)
	DISK_QUEUES=$(find "/sys/block/${DEV##*/}/mq" -mindepth 1 -maxdepth 1 |
		grep -c .)
}

# Blocks of mixed sizes are written from every CPU and verified.
verified() {
	need fio
	say "seed $SEED, $DISK_QUEUES queues"
	if ! fio --filename="$DEV" --direct=1 --ioengine=libaio --rw=randwrite \
		--verify=crc32c --verify_fatal=1 --do_verify=1 \
		--verify_state_save=0 --bsrange=512-256k --blockalign=512 \
		--size=8M --numjobs=2 --offset_increment=16M --iodepth=32 \
		--cpus_allowed="$(cat /sys/devices/system/cpu/online)" \
		--cpus_allowed_policy=split --randseed="$SEED" \
		--group_reporting --minimal --name=a > "$TMP/fio" 2>&1; then
		grep -v '^3;' "$TMP/fio"
		fail "fio failed"
	fi
	disk_del $DISK
}

verified_main() {
	a_disk main
	[ "$DISK_QUEUES" -gt 1 ] || fail "$DISK_QUEUES queues are in use"
	verified
}

verified_main_split() {
	fn_bind main
	a_disk main $(($(fn_features) & ~F_PACKED))
	verified
}

verified_shared_vectors() {
	a_disk few
	verified
}

verified_one_queue() {
	a_disk one
	expect "queues" 1 "$DISK_QUEUES"
	verified
}

file_system() {
	local mnt=$TMP/mnt
	need mkfs.ext4 e2fsck
	a_disk main
	mkfs.ext4 -q -F "$DEV"
	mount_at "$mnt" -t ext4 "$DEV"
	seq 20000 | split -l 500 - "$mnt/"
	(cd "$mnt" && find . -type f -exec sha256sum {} + | sort) > "$TMP/sums"
	unmount "$mnt"
	e2fsck -f -n "$DEV"
	# The next disk on this function has what this one had.
	disk_del $DISK
	a_disk main
	mount_at "$mnt" -t ext4 "$DEV"
	(cd "$mnt" && sha256sum --check --quiet "$TMP/sums")
	unmount "$mnt"
	disk_del $DISK
}

# ---- features -------------------------------------------------------------

# masked ALL BITS: a disk without these, of which virtio_blk sees none
masked() {
	local all=$1 bit=$2 got
	disk_add $DISK $((all & ~bit))
	DEV=$(disk_blk $DISK)
	got=$(virtio_features)
	expect "features without $bit" "$(printf '%x' $((all & ~bit)))" \
		"$(printf '%x' "$got")"
}

masked_features_are_not_there() {
	local all
	fn_bind main
	all=$(fn_features)
	[ $((all & F_FLUSH)) -ne 0 ] || skip "the function has no FLUSH"
	masked "$all" $((F_FLUSH | F_CONFIG_WCE))
	expect "write cache" "write through" "$(blk_attr queue/write_cache "$DEV")"
	disk_del $DISK

	[ $((all & F_MQ)) -ne 0 ] || skip "the function has no MQ"
	masked "$all" $F_MQ
	expect "queues without MQ" 1 "$(find "/sys/block/${DEV##*/}/mq" \
		-mindepth 1 -maxdepth 1 | grep -c .)"
	disk_del $DISK
}

next_to_no_features_are_enough() {
	a_disk main $F_BASE
	expect "features" $F_BASE "$(virtio_features)"
	verified
}

# ---- rings ----------------------------------------------------------------

# ring_of NAME: virtio_blk has as many requests as the ring has room for, if
# their descriptors are indirect ones
ring_of() {
	a_disk "$1"
	blk_attr mq/0/nr_tags "$DEV"
	disk_del $DISK
}

# As large as the function has them: the same as with its own driver.
rings_are_as_large_as_the_functions() {
	local name own dev
	for name in main few; do
		fn "$name"
		dev=$(echo "$PCI/devices/$FN"/virtio*/block/*)
		[ -d "$dev" ] || skip "virtio_blk does not have $FN"
		own=$(cat "$dev/mq/0/nr_tags")
		expect "ring of $name" "$own" "$(ring_of "$name")"
		fn_unbind
	done
}

# ---- interrupts -----------------------------------------------------------

# fn_irqs: numbers of those that somebody has asked for
fn_irqs() {
	local irq
	for irq in "$PCI/devices/$FN/msi_irqs"/*; do
		irq=${irq##*/}
		[ -z "$(cat "/sys/kernel/irq/$irq/actions")" ] || echo "$irq"
	done
}

# irq_count IRQ: on all CPUs
irq_count() {
	awk -v irq="$1:" '$1 == irq {
		for (i = 2; $i ~ /^[0-9]+$/; i++)
			n += $i
		print n
	}' /proc/interrupts
}

# busy_irqs CPU: those that fire when that CPU reads
busy_irqs() {
	local irq
	local -A before
	for irq in $(fn_irqs); do
		before[$irq]=$(irq_count "$irq")
	done
	taskset -c "$1" dd if="$DEV" of=/dev/null bs=4k count=200 iflag=direct \
		status=none
	for irq in $(fn_irqs); do
		[ $(($(irq_count "$irq") - before[$irq])) -lt 50 ] || echo "$irq"
	done
}

# A queue for each CPU, its interrupt on that CPU.
interrupts_are_where_the_requests_come_from() {
	local cpu irqs seen=
	need taskset
	a_disk main
	[ "$DISK_QUEUES" -ge "$(nproc)" ] || skip "fewer queues than CPUs"
	for cpu in $(seq 0 $(($(nproc) - 1))); do
		irqs=$(busy_irqs "$cpu")
		say "CPU $cpu: interrupt ${irqs:-none}"
		expect "interrupts for CPU $cpu" 1 "$(wc -w <<< "$irqs")"
		[[ " $seen " != *" $irqs "* ]] ||
			fail "interrupt $irqs is that of another CPU, too"
		expect "where interrupt $irqs may go" "$cpu" \
			"$(cat "/proc/irq/$irqs/smp_affinity_list")"
		seen+=" $irqs"
	done
	disk_del $DISK
}

too_few_vectors_are_shared() {
	local cpu
	need taskset
	a_disk few
	for cpu in $(seq 0 $(($(nproc) - 1))); do
		[ -n "$(busy_irqs "$cpu")" ] || fail "no interrupts on CPU $cpu"
	done
	disk_del $DISK
	fn_said 1 "vectors.*shared"
}

enough_vectors_are_not_worth_a_line() {
	fn_bind main
	fn_said 0 "vector"
}

# ---- configuration --------------------------------------------------------

cache_type_can_be_switched() {
	local type
	a_disk main
	for type in "write through" "write back" "write through"; do
		echo "$type" > "/sys/block/${DEV##*/}/cache_type" ||
			skip "the function has no CONFIG_WCE"
		expect "cache type" "$type" "$(blk_attr cache_type "$DEV")"
	done
	# It is the function's own: its next user finds it as it was left.
	echo "write back" > "/sys/block/${DEV##*/}/cache_type"
	disk_del $DISK
}

has_sectors() {
	[ "$(blk_attr size "$DEV")" -eq "$1" ]
}

# resizes NAME: nobody but the configuration interrupt tells
resizes() {
	local mib
	for mib in 300 256; do
		qmp block_resize "{\"device\": \"$1\", \"size\": $((mib << 20))}"
		wait_for 60 has_sectors $((mib << 11)) ||
			fail "$(blk_attr size "$DEV") sectors, not $mib MiB"
	done
}

a_resize_is_noticed() {
	a_disk one
	resizes one
	disk_del $DISK
}

# Requests of all queues and the configuration.
one_vector_is_enough_for_all() {
	a_disk lonely
	[ "$DISK_QUEUES" -gt 1 ] || fail "$DISK_QUEUES queues are in use"
	resizes lonely
	verified
	fn_said 1 "vectors.*shared"
}

run_cases verified_main verified_main_split verified_shared_vectors \
	verified_one_queue file_system masked_features_are_not_there \
	next_to_no_features_are_enough rings_are_as_large_as_the_functions \
	interrupts_are_where_the_requests_come_from too_few_vectors_are_shared \
	enough_vectors_are_not_worth_a_line cache_type_can_be_switched \
	a_resize_is_noticed one_vector_is_enough_for_all
