#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tracepoints: each request starts once and is done once.

. "$(dirname "$0")/common.sh"

TRACEFS=/sys/kernel/tracing
EVENTS=$TRACEFS/instances/vdpa_blk_test/events/vdpa_blk

tracing() {
	[ -e $TRACEFS/trace ] || mount -t tracefs none $TRACEFS 2> /dev/null ||
		skip "no tracefs in this kernel"
	load
	[ -d $TRACEFS/events/vdpa_blk ] || skip "no tracepoints in this kernel"
	# An instance of our own leaves other users of tracing alone.
	mkdir -p $TRACEFS/instances/vdpa_blk_test
	TRACE=$TRACEFS/instances/vdpa_blk_test
	echo 16384 > $TRACE/buffer_size_kb
}

# traced CMD...: the events of disk "trace0" meanwhile into $TMP/trace
traced() {
	local e
	for e in vdpa_blk_req_start vdpa_blk_req_done; do
		echo 'disk == "trace0"' > "$EVENTS/$e/filter"
		echo 1 > "$EVENTS/$e/enable"
	done
	echo > "$TRACE/trace"
	"$@"
	echo 0 > "$EVENTS/enable"
	grep -o 'vdpa_blk_req_.*' "$TRACE/trace" > "$TMP/trace" || :
	say "$(wc -l < "$TMP/trace") events"
	rmdir "$TRACE"
}

# Between a start and its end there is no other with the same key.
pairs_up() {
	awk '
	{ key = $2 " " $3 " " $4 }
	$2 != "disk=trace0" || $3 !~ /^vq=[0-9]+$/ || $4 !~ /^head=[0-9]+$/ {
		print "no key: " $0; bad = 1
	}
	/^vdpa_blk_req_start:/ {
		if (key in busy) { print "started twice: " $0; bad = 1 }
		busy[key] = 1
		starts++
	}
	/^vdpa_blk_req_done:/ {
		if (!(key in busy)) { print "done, not started: " $0; bad = 1 }
		delete busy[key]
		dones++
	}
	END {
		for (key in busy) { print "never done: " key; bad = 1 }
		if (!starts || starts != dones) {
			print starts + 0 " starts, " dones + 0 " ends"; bad = 1
		}
		exit bad
	}' "$TMP/trace"
}

# done_of TYPE: how many of this request type are done
done_of() {
	grep -c "^vdpa_blk_req_done:.* type=$1 " "$TMP/trace" || :
}

a_known_number_of_requests() {
	local dev
	tracing
	disk_add trace0
	dev=$(disk_blk trace0)
	traced dd if=/dev/zero of="$dev" bs=4k count=32 oflag=direct status=none
	pairs_up
	expect "writes" 32 "$(done_of 1)"
	expect "failed" 0 "$(grep -c ' status=[1-9]' "$TMP/trace" || :)"
}

reads_and_discards() {
	local dev
	need blkdiscard
	tracing
	disk_add trace0
	dev=$(disk_blk trace0)
	traced blkdiscard -o 0 -l 1M "$dev"
	pairs_up
	expect "discards" 1 "$(done_of 11)"
	tracing
	traced dd if="$dev" of=/dev/null bs=8k count=16 iflag=direct status=none
	pairs_up
	expect "reads" 16 "$(done_of 0)"
}

many_in_flight() {
	local dev
	need fio
	tracing
	disk_add trace0
	dev=$(disk_blk trace0)
	traced fio --name=trace --filename="$dev" --direct=1 --rw=randread \
		--ioengine=libaio --iodepth=32 --bs=4k --size=4M --numjobs=2 \
		--randseed="$SEED" --minimal > /dev/null
	pairs_up
	expect "reads" 2048 "$(done_of 0)"
}

other_disks_are_told_apart() {
	local dev other
	tracing
	disk_add trace0
	disk_add trace1
	dev=$(disk_blk trace0)
	other=$(disk_blk trace1)
	# shellcheck disable=SC2016 # sh expands it
	traced sh -c 'for dev; do
		dd if=/dev/zero of="$dev" bs=4k count=8 oflag=direct status=none
	done' sh "$other" "$dev"
	pairs_up
	expect "writes" 8 "$(done_of 1)"
}

run_cases a_known_number_of_requests reads_and_discards many_in_flight \
	other_disks_are_told_apart
