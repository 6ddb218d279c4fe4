#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of events.sh that runs in the VM.

# shellcheck source-path=SCRIPTDIR source=vm-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/vm-lib.sh"
# shellcheck source-path=SCRIPTDIR source=disk-lib.sh
. "$BENCH_DIR/disk-lib.sh"

notes=/results/events.notes
EVENTS=/sys/kernel/tracing/events
MOD=vdpa_blk_sim
MIB=16

# Who allocates, and to which disk bios go.
HISTOGRAMS="kmem/kmalloc:keys=common_pid,call_site.sym:size=8192
kmem/kmem_cache_alloc:keys=common_pid,call_site.sym:size=8192
block/block_bio_queue:keys=dev"

# Requests in flight, and how many fio submits and waits for at once.
LOADS="1:1 32:1 32:32"

declare -A nodes

# --- what is counted -------------------------------------------------------

histograms_on() {
	local line

	for line in $HISTOGRAMS; do
		echo "hist:${line#*:}" >"$EVENTS/${line%%:*}/trigger"
	done
}

# Keeps the counts, which go with the triggers.
histograms_off() {
	local line

	for line in $HISTOGRAMS; do
		cat "$EVENTS/${line%%:*}/hist" >"/tmp/hist-$(basename "${line%%:*}")"
		echo "!hist:${line#*:}" >"$EVENTS/${line%%:*}/trigger"
	done
	if grep -h '^ *Dropped:' /tmp/hist-* | grep -qv ': *0$'; then
		die "a histogram was too small"
	fi
}

# hits EVENT REGEX: of the lines that match
hits() {
	awk -v line="$2" '/hitcount:/ && $0 ~ line {
		sub(/.*hitcount: */, "")
		sum += $1
	}
	END { print sum + 0 }' "/tmp/hist-$1"
}

allocations() {
	echo "$(($(hits kmalloc "$1") + $(hits kmem_cache_alloc "$1")))"
}

# To other kinds of disks, for the root is a virtio disk as well.
bios() {
	local major

	major=$(stat -c %t "$1")
	awk -v major=$((16#$major)) '/hitcount:/ {
		dev = $0
		sub(/.*dev: */, "", dev)
		hits = $0
		sub(/.*hitcount: */, "", hits)
		if (int(dev / 1048576) != major)
			sum += hits
	}
	END { print sum + 0 }' /tmp/hist-block_bio_queue
}

worker_of() {
	sed -n 's/^worker: //p' "/sys/kernel/debug/$MOD/$1/vq0"
}

# counters NAME: sets the array "now"; they are of the one queue and of its worker
counters() {
	local file values=()

	for file in read_requests kicks interrupts batches; do
		values+=("$(<"$BUS/devices/$1/vq0/$file")")
	done
	values+=("$(awk '/^voluntary_ctxt/ { print $2 }' \
		"/proc/$(worker_of "$1")/status")")
	now=("${values[@]}")
}

# --- the measurement -------------------------------------------------------

# load DEPTH BATCH NODE
load() {
	fio --name=load --filename="$3" --direct=1 --rw=randread --bs=4096 \
		--size="${MIB}M" --norandommap --ioengine=libaio \
		--iodepth="$1" --iodepth_batch="$2" \
		--iodepth_batch_complete_min="$2" --minimal >/tmp/load
}

# emit CONTENDER DEPTH BATCH REQUESTS EVENT COUNT
emit() {
	printf '{"part":"events","contender":"%s","via":"virtio-vdpa","metric":"%s per request","unit":"1","params":{"depth":%u,"batch":%u},"value":%s}\n' \
		"$1" "$5" "$2" "$3" \
		"$(awk -v n="$4" -v sum="$6" 'BEGIN { printf "%.6f", sum / n }')" \
		>>"$raw"
}

# one CONTENDER DEPTH BATCH
one() {
	local node=${nodes[$1]} before n i names=(requests kicks interrupts
		"used index updates" "worker wake-ups")

	counters "$1"
	before=("${now[@]}")
	histograms_on
	load "$2" "$3" "$node" || die "fio failed on $1"
	histograms_off
	counters "$1"
	n=$((now[0] - before[0]))
	[ "$n" -eq $((MIB * 256)) ] || die "$1: $n requests"
	for i in 1 2 3 4; do
		emit "$1" "$2" "$3" "$n" "${names[i]}" $((now[i] - before[i]))
	done
	emit "$1" "$2" "$3" "$n" "allocations by the module" \
		"$(allocations "\\[$MOD\\]")"
	emit "$1" "$2" "$3" "$n" "allocations by the worker" \
		"$(allocations "common_pid: *$(worker_of "$1"),")"
	emit "$1" "$2" "$3" "$n" "bios" "$(bios "$node")"
}

# add NAME [PATH]
add() {
	described "$1" num_queues=1 "size=${MIB}M" "path=${2:-}"
	wait_for node_of "$1"
	nodes["$1"]=$NODE
	plain_queue "$NODE"
	dd if=/dev/zero of="$NODE" bs=1M count=$MIB oflag=direct status=none
}

# Who cannot see what is there would see nothing later on. To make a disk takes
# memory, and to write to it with nothing in front takes bios.
set_up() {
	modprobe -r vhost_vdpa
	modprobe -a virtio_blk $MOD
	null_disk nullb-below
	plain_queue /dev/nullb-below
	histograms_on
	add ours-null_blk /dev/nullb-below
	add ours-ram
	histograms_off
	[ "$(allocations "\\[$MOD\\]")" -gt 0 ] ||
		die "no allocation of the module is seen"
	[ "$(bios "${nodes[ours-ram]}")" -ge $MIB ] || die "no bio is seen"
	cat >>"$notes" <<-END
		kernel: Linux $(uname -r), $(nproc) CPUs
		batch: what fio submits, and waits for, at once
		allocations: kmalloc and kmem_cache_alloc, called from the module, or by its worker wherever from
		worker wake-ups: how often the worker fell asleep
	END
}

main_events() {
	local round job jobs=() contender load depth batch

	set_up
	for load in $LOADS; do
		for contender in "${!nodes[@]}"; do
			jobs+=("$contender:$load")
		done
	done
	for ((round = 1; round <= ROUNDS; round++)); do
		shuffle "${jobs[@]}"
		echo "round $round: ${shuffled[*]}"
		for job in "${shuffled[@]}"; do
			IFS=: read -r contender depth batch <<<"$job"
			one "$contender" "$depth" "$batch"
		done
	done
}

main_events
