#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A disk in RAM that this host uses: the thread that kicks executes what needs
# no sleep, and the workers the rest.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

# a_disk [ATTR=VALUE...]: with one queue, and memory in its first half. A worker
# that polls wakes up less often than it works.
a_disk() {
	load
	desc_add direct0 size=64M num_queues=1 poll_us=0 "$@"
	disk_add direct0
	DEV=$(disk_blk direct0)
	dd if=/dev/zero of="$DEV" bs=64k count=512 oflag=direct status=none
	udevadm settle 2> /dev/null || :
}

# How often the worker ran.
worker_runs() {
	local pid
	pid=$(sed -n 's/^worker: //p' "/sys/kernel/debug/$MOD/direct0/vq0")
	awk '/^voluntary/ { print $2 }' "/proc/$pid/status"
}

# worker_in CMD...: how often it ran meanwhile
worker_in() {
	local before
	before=$(worker_runs)
	"$@"
	echo $(($(worker_runs) - before))
}

# requests NAME WANT CMD...: what CMD costs, on a disk of which nobody else
# wants anything. A thread whose time is over leaves the rest to the worker, and
# the worker may find two requests at once: limits are far from both ends.
requests() {
	local name=$1 want=$2 before
	shift 2
	before=$(vq_sum direct0 "$name")
	RUNS=$(worker_in "$@")
	expect "$name" "$want" $(($(vq_sum direct0 "$name") - before))
	say "$want $name, the worker ran $RUNS times"
}

reads() {
	dd if="$DEV" of=/dev/null bs="$1" count="$2" iflag=direct status=none
}

writes() {
	dd if=/dev/zero of="$DEV" bs="$1" count="$2" seek="${3:-0}" \
		oflag=direct conv=notrunc status=none
}

# One less than it writes.
flushes() {
	fio --filename="$DEV" --ioengine=sync --rw=write --bs=4k --fsync=1 \
		--size="$(($1 * 4))k" --name=flushes --direct=1 \
		--output="$TMP/fio"
}

short_requests_need_no_worker() {
	a_disk
	requests read_requests 200 reads 4k 200
	[ "$RUNS" -le 50 ] || fail "the worker ran $RUNS times for reads"
	requests write_requests 200 writes 4k 200
	[ "$RUNS" -le 50 ] || fail "the worker ran $RUNS times for writes"
	requests flush_requests 50 flushes 51
	[ "$RUNS" -le 20 ] || fail "the worker ran $RUNS times for flushes"
}

new_memory_needs_no_worker_while_there_is_some() {
	a_disk
	requests write_requests 200 writes 4k 200 8192
	[ "$RUNS" -le 50 ] || fail "the worker ran $RUNS times"
}

long_requests_are_the_workers() {
	a_disk
	requests read_requests 20 reads 512k 20
	[ "$RUNS" -ge 10 ] || fail "the worker ran only $RUNS times"
	requests discard_requests 1 blkdiscard -q -f -l 1M "$DEV"
	[ "$RUNS" -ge 1 ] || fail "not so for a discard"
}

disks_with_something_below_have_workers() {
	back_null_blk 64
	a_disk "path=$BACKING"
	requests read_requests 50 reads 4k 50
	[ "$RUNS" -ge 10 ] || fail "the worker ran only $RUNS times"
}

# Each finds the queue taken by others, and long requests in between.
many_on_one_queue() {
	local mib
	mib=$(often 48 8)
	a_disk
	fio --filename="$DEV" --direct=1 --ioengine=libaio --iodepth=16 \
		--rw=randrw --verify=crc32c --verify_state_save=0 \
		--size="$((mib / 4))M" --offset_increment="$((mib / 4))M" \
		--numjobs=4 --bsrange=512-256k --name=many \
		--output="$TMP/fio" || fail "fio: $(tail -n 20 "$TMP/fio")"
	expect "errors" 0 "$(vq_sum direct0 errors)"
	expect "in flight" 0 "$(stat_field direct0 9)"
}

run_cases short_requests_need_no_worker \
	new_memory_needs_no_worker_while_there_is_some \
	long_requests_are_the_workers \
	disks_with_something_below_have_workers many_on_one_queue
