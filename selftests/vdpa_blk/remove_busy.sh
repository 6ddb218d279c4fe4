#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Disks that go away, or change hands, while they are in use.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

# Nine rounds are each action at each stage.
ROUNDS=${ROUNDS:-$(often 20 9)}

# moment STAGE DEV: before the first request, around it, under full load
moment() {
	case $1 in
	0)
		;;
	1)
		sleep "0.0$((RANDOM % 90 + 10))"
		;;
	2)
		wait_for 60 io_has_begun "$2" || fail "no I/O on $2"
		sleep "0.$((RANDOM % 200 + 100))"
		;;
	esac
}

delete() {
	disk_del busy0
	! disk_exists busy0 || fail "busy0 is still there"
}

unbind_and_bind() {
	disk_unbind busy0
	load_must_end
	DEV=$(disk_blk busy0)
	tr '\0' 'b' < /dev/zero | dd of="$DEV" bs=64k count=4 iflag=fullblock \
		oflag=direct status=none
	disk_unbind busy0
	DEV=$(disk_blk busy0)
	expect "bytes after a new bind" 262144 \
		"$(head -c 262144 "$DEV" | tr -dc b | wc -c)"
}

unload_busy() {
	rmmod "$MOD"
	! disk_exists busy0 || fail "busy0 is still there"
}

# Every way for a disk to go, at every stage, at moments the seed gives.
taken_away_under_load() {
	local i action stage
	local -a actions=(delete unbind_and_bind unload_busy)
	need fio
	RANDOM=$SEED
	say "seed $SEED"
	load
	for ((i = 0; i < ROUNDS; i++)); do
		action=${actions[i % 3]}
		stage=$((i / 3 % 3))
		say "round $i: $action, stage $stage"
		load
		disk_exists busy0 || disk_add busy0
		DEV=$(disk_blk busy0)
		load_on "$DEV"
		moment $stage "$DEV"
		"$action"
		load_must_end
	done
	! disk_exists busy0 || disk_del busy0
	unload
}

moved_between_the_buses() {
	local i dev chr
	load
	disk_add move0
	dev=$(disk_blk move0)
	tr '\0' 'v' < /dev/zero | dd of="$dev" bs=64k count=16 iflag=fullblock \
		oflag=direct status=none
	for i in $(seq "$ROUNDS"); do
		chr=$(disk_chr move0)
		# The open and the last close reset the disk.
		: <> "$chr"
		dev=$(disk_blk move0)
		expect "bytes in round $i" 1048576 "$(dd if="$dev" bs=64k \
			count=16 iflag=direct status=none | tr -dc v | wc -c)"
	done
}

deleting() {
	kill -0 "$DELETER" 2> /dev/null
}

# start_del NAME: in the background; every vdpa command waits with it
start_del() {
	background vdpa dev del "$1"
	DELETER=$BG_PID
}

del_ends() {
	wait_for 60 eval '! deleting' || fail "$1 is still being deleted"
	wait "$DELETER"
	! disk_exists "$1" || fail "$1 is still there"
}

said_why() {
	[ "$(klog_count "dev del $1: waits.*$2")" -gt 0 ]
}

# The bus waits for the one who has /dev/vhost-vdpa-N open, and the log has what
# finds it.
a_delete_waits_for_the_last_close() {
	local chr finder
	load
	disk_add open0
	chr=$(disk_chr open0)
	background sleep 600 9<> "$chr"
	HOLDER=$BG_PID
	start_del open0
	wait_for 60 said_why open0 "until $chr is closed" ||
		fail "the log does not say that $chr is open"
	deleting || fail "deleted while $chr was open"
	finder=$(klog | sed -n 's/.*; \(find .*\) shows who .*/\1/p')
	expect "what '$finder' finds" "/proc/$HOLDER/fd/9" \
		"$(eval "$finder" 2> /dev/null)"
	kill "$HOLDER"
	del_ends open0
	expect "lines about it" 1 "$(klog_count "dev del open0: waits")"
}

in_flight() {
	[ "$(stat_field hang0 9)" -gt 0 ]
}

# A disk of the host's goes whoever has it open, but not before its requests.
a_delete_waits_for_the_backing() {
	local dev
	load
	back_loop 16
	dm_add vbshang "0 $((16 << 11)) linear $BACKING 0"
	disk_on hang0 "$BACKING"
	dev=$(disk_blk hang0)
	dm suspend --noflush --nolockfs vbshang
	background dd if="$dev" of=/dev/null bs=4096 count=1 iflag=direct \
		status=none
	wait_for 60 in_flight || fail "no request at work"
	start_del hang0
	if ! wait_for 60 said_why hang0 "for the requests at work"; then
		dm resume vbshang
		fail "the log does not say why it waits"
	fi
	deleting || WHY="deleted with a request at work"
	dm resume vbshang
	[ -z "${WHY:-}" ] || fail "$WHY"
	del_ends hang0
}

a_quick_delete_says_nothing() {
	load
	disk_add quick0
	disk_chr quick0
	disk_del quick0
	sleep 6
	expect "lines about it" 0 "$(klog_count "dev del quick0: waits")"
}

unloading() {
	kill -0 "$UNLOADER" 2> /dev/null
}

# And so does a module that is to go.
unloading_waits_for_the_last_close() {
	local chr
	load
	disk_add open0
	chr=$(disk_chr open0)
	exec 9<> "$chr"
	background rmmod "$MOD" 9>&-
	UNLOADER=$BG_PID
	sleep 1
	unloading || fail "unloaded while $chr was open"
	exec 9>&-
	wait_for 60 eval '! unloading' || fail "not unloaded after the close"
	wait "$UNLOADER"
	! mod_loaded || fail "$MOD is still there"
}

run_cases taken_away_under_load moved_between_the_buses \
	a_delete_waits_for_the_last_close a_delete_waits_for_the_backing \
	a_quick_delete_says_nothing unloading_waits_for_the_last_close
