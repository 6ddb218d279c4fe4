#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Statistics in sysfs and the state of the rings in debugfs. Numbers are exact
# where the block layer of the host counts the same; vhost_stats has the rest.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

# a_disk [ATTR=VALUE...]
a_disk() {
	load
	desc_add stat0 size=64M num_queues=2 "$@"
	disk_add stat0
	DEV=$(disk_blk stat0)
}

# Requests and sectors of reads, writes and discards, and flushes.
ours() {
	awk '{ print $1, $3, $5, $7, $12, $14, $16 }' \
		"$VDPA_BUS/devices/stat0/stat"
}

# There a flush is a write, too. (Not so when it went together with another.)
theirs() {
	awk '{ print $1, $3, $5 - $16, $7, $12, $14, $16 }' \
		"/sys/block/${DEV##*/}/stat"
}

same() {
	[ "$(ours)" = "$(theirs)" ]
}

# since BEFORE NOW: the differences
since() {
	awk '{ for (i = 1; i <= NF; i++) if (NR == 1) n[i] = $i;
		else printf("%s%d", i > 1 ? " " : "", $i - n[i]) }' <<< "$1"$'\n'"$2"
}

# counted WHAT "READS SECTORS WRITES SECTORS DISCARDS SECTORS FLUSHES" CMD...
counted() {
	local what=$1 want=$2 before
	shift 2
	wait_for 60 same || fail "'$(ours)' here, '$(theirs)' in the block layer"
	before=$(ours)
	"$@"
	wait_for 60 same || fail "$what: '$(ours)', but '$(theirs)' in the block layer"
	expect "$what" "$want" "$(since "$before" "$(ours)")"
}

reads() {
	dd if="$DEV" of=/dev/null bs=4k count="$1" iflag=direct status=none
}

writes() {
	dd if=/dev/zero of="$DEV" bs=4k count="$1" oflag=direct conv=notrunc \
		status=none
}

sums_are_the_whole() {
	local f n
	for f in read_requests:1 write_requests:5 discard_requests:12 \
		flush_requests:16; do
		expect "sum of ${f%:*}" "$(stat_field stat0 "${f#*:}")" \
			"$(vq_sum stat0 "${f%:*}")"
	done
	for f in read_bytes:3 write_bytes:7 discard_bytes:14; do
		n=$(stat_field stat0 "${f#*:}")
		expect "sum of ${f%:*}" $((n * 512)) "$(vq_sum stat0 "${f%:*}")"
	done
}

as_the_block_layer_counts() {
	a_disk
	expect "columns" 17 "$(wc -w < "$VDPA_BUS/devices/stat0/stat")"
	counted "7 reads" "7 56 0 0 0 0 0" reads 7
	counted "5 writes" "0 0 5 40 0 0 0" writes 5
	counted "a flush" "0 0 1 8 0 0 1" dd if=/dev/zero of="$DEV" bs=4k \
		count=1 oflag=direct conv=fsync,notrunc status=none
	counted "a discard" "0 0 0 0 1 32768 0" blkdiscard -q -f -l 16M "$DEV"
	counted "zeroes" "0 0 1 2048 0 0 0" blkdiscard -q -f -z -l 1M "$DEV"
	sums_are_the_whole
	expect "in flight" 0 "$(stat_field stat0 9)"
	expect "errors" 0 "$(vq_sum stat0 errors)"
}

under_fio_too() {
	local batches requests
	need fio
	a_disk
	fio --filename="$DEV" --direct=1 --ioengine=libaio --rw=randrw \
		--bsrange=4k-64k --blockalign=4k --size=8M --numjobs=4 \
		--iodepth=16 --randseed="$SEED" --minimal --name=a \
		> "$TMP/fio" || fail "$(cat "$TMP/fio")"
	wait_for 60 same || fail "'$(ours)' here, '$(theirs)' in the block layer"
	sums_are_the_whole
	requests=$(awk '{ print $1 + $5 + $12 + $16 }' \
		"$VDPA_BUS/devices/stat0/stat")
	batches=$(vq_sum stat0 batches)
	say "$requests requests, $batches batches, $(vq_sum stat0 kicks) kicks, $(vq_sum stat0 interrupts) interrupts"
	[ "$batches" -gt 0 ] || fail "no batches"
	[ "$batches" -le "$requests" ] || fail "more batches than requests"
	[ "$(vq_sum stat0 kicks)" -gt 0 ] || fail "no kicks"
	[ "$(vq_sum stat0 interrupts)" -gt 0 ] || fail "no interrupts"
	expect "in flight" 0 "$(stat_field stat0 9)"
}

bad_sectors_are_errors() {
	local before
	a_disk
	before=$(stat_field stat0 1)
	desc_set stat0 badblocks "8 8"
	refused "Input/output error" dd if="$DEV" of=/dev/null bs=4k skip=1 \
		count=1 iflag=direct
	refused "Input/output error" dd if=/dev/zero of="$DEV" bs=4k seek=1 \
		count=1 oflag=direct
	expect "errors" 2 "$(vq_sum stat0 errors)"
	expect "reads" 1 $(($(stat_field stat0 1) - before))
	expect "bytes written" 0 "$(vq_sum stat0 write_bytes)"
	desc_set stat0 badblocks "-8 8"
	reads 2
	expect "errors" 2 "$(vq_sum stat0 errors)"
}

# Requests that take this long, which no machine makes faster.
SLOW_MS=50

a_slow_disk() {
	back_null_blk 64 irqmode=2 completion_nsec=$((SLOW_MS * 1000000))
	a_disk "path=$BACKING"
}

uptime_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}

in_flight() {
	[ "$(stat_field stat0 9)" -gt 0 ]
}

idle() {
	! in_flight
}

# A jiffy more or less at both ends of each request.
times_are_those_of_the_backing() {
	local start ticks busy
	a_slow_disk
	ticks=$(stat_field stat0 4)
	busy=$(stat_field stat0 10)
	start=$(uptime_ms)
	reads 10
	start=$(($(uptime_ms) - start))
	ticks=$(($(stat_field stat0 4) - ticks))
	busy=$(($(stat_field stat0 10) - busy))
	say "10 reads in $start ms: $ticks ms of reads, $busy ms at work"
	[ $ticks -ge $((10 * (SLOW_MS - 20))) ] || fail "reads too fast"
	[ $busy -ge $((10 * (SLOW_MS - 20))) ] || fail "not busy enough"
	[ $ticks -le $((start + 200)) ] || fail "reads longer than it took"
	[ $busy -le $((start + 40)) ] || fail "busy longer than it took"
}

many_at_once_are_busy_once() {
	local start ticks busy
	need fio
	a_slow_disk
	ticks=$(stat_field stat0 4)
	busy=$(stat_field stat0 10)
	start=$(uptime_ms)
	background fio --filename="$DEV" --direct=1 --ioengine=libaio \
		--rw=randread --bs=4k --size=2M --io_size=512k --iodepth=16 \
		--minimal --name=a --output="$TMP/fio"
	wait_for 60 in_flight || fail "never anything in flight"
	wait_for 60 grep -qx "live: 1" "/sys/kernel/debug/$MOD/stat0/vq0" ||
		fail "the queue is not live"
	wait "$BG_PID" || fail "$(cat "$TMP/fio")"
	start=$(($(uptime_ms) - start))
	ticks=$(($(stat_field stat0 4) - ticks))
	busy=$(($(stat_field stat0 10) - busy))
	say "128 reads in $start ms: $ticks ms of reads, $busy ms at work"
	# 16 at once are 8 times this long.
	[ $ticks -ge $((128 * (SLOW_MS - 20))) ] || fail "reads too fast"
	[ $busy -le $((start + 40)) ] || fail "busy longer than it took"
	[ $busy -ge $((8 * (SLOW_MS - 20))) ] || fail "not busy enough"
	wait_for 60 idle || fail "in flight for ever"
}

debugfs_tells_of_the_ring() {
	local f vq=/sys/kernel/debug/$MOD/stat0/vq0
	a_disk queue_size=128
	expect "queues" "vq0 vq1" "$(cd "${vq%/*}" && echo *)"
	cat "$vq"
	for f in "ready: 1" "live: 1" "lost: 0" "broken: 0" "size: 128" \
		"in_flight: 0"; do
		grep -qx "$f" "$vq" || fail "no '$f'"
	done
	disk_unbind stat0
	grep -qx "live: 0" "$vq" || fail "live without a driver"
	disk_del stat0
	[ ! -e "${vq%/*}" ] || fail "debugfs keeps a disk that is gone"
}

look_at_all() {
	local f vq=/sys/kernel/debug/$MOD/stat0/vq
	wait_for 60 in_flight || return
	for f in "$VDPA_BUS/devices/stat0/stat" "$VDPA_BUS"/devices/stat0/vq*/* \
		"$vq"* "$DESCS/stat0/path" "$DESCS/stat0/badblocks"; do
		timeout 20 cat "$f" > "$TMP/seen" || return
	done
	cat "$vq"* | grep -qx "in_flight: 1"
}

# Nobody who looks waits for a request.
a_hanging_backing_can_be_looked_at() {
	local seen=yes
	back_loop 16
	dm_add vbsstat "0 32768 linear $BACKING 0"
	a_disk "path=$BACKING"
	dm suspend --noflush --nolockfs vbsstat
	background reads 1
	# Whatever comes of it, the read must not hang for ever.
	look_at_all || seen=
	dm resume vbsstat
	wait "$BG_PID"
	[ -n "$seen" ] || fail "it was not to be seen, or somebody waits"
	expect "in flight" 0 "$(stat_field stat0 9)"
}

read_all_for_ever() {
	while :; do
		cat "$VDPA_BUS"/devices/stat*/stat \
			"$VDPA_BUS"/devices/stat*/vq*/* \
			"/sys/kernel/debug/$MOD"/stat*/vq* "$DESCS"/stat*/* \
			> /dev/null 2>&1 || :
	done
}

load_for_ever() {
	while :; do
		dd if="$1" of=/dev/null bs=64k iflag=direct 2> /dev/null || :
	done
}

has_written() {
	[ "$(stat_field "$1" 5)" -gt 0 ]
}

reading_while_disks_come_and_go() {
	local i other
	a_disk
	background load_for_ever "$DEV"
	background read_all_for_ever
	background read_all_for_ever
	desc_add stat1 size=8M num_queues=8
	for i in $(seq "$(often 8 3)"); do
		disk_add stat1
		other=$(disk_blk stat1)
		background dd if=/dev/zero of="$other" bs=64k oflag=direct \
			status=none 2> /dev/null
		wait_for 60 has_written stat1
		disk_del stat1
	done
}

run_cases as_the_block_layer_counts under_fio_too bad_sectors_are_errors \
	times_are_those_of_the_backing many_at_once_are_busy_once \
	debugfs_tells_of_the_ring a_hanging_backing_can_be_looked_at \
	reading_while_disks_come_and_go
