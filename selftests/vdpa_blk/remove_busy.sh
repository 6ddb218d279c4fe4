#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Disks that go away, or change hands, while they are in use.

. "$(dirname "$0")/common.sh"

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

# The bus waits for the one who has /dev/vhost-vdpa-N open.
a_delete_waits_for_the_last_close() {
	local chr
	load
	disk_add open0
	chr=$(disk_chr open0)
	exec 9<> "$chr"
	# Without the descriptor, or it would wait for itself.
	background vdpa dev del open0 9>&-
	DELETER=$BG_PID
	sleep 1
	deleting || fail "deleted while $chr was open"
	exec 9>&-
	wait_for 60 eval '! deleting' || fail "not deleted after the close"
	wait "$DELETER"
	! disk_exists open0 || fail "open0 is still there"
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
	a_delete_waits_for_the_last_close unloading_waits_for_the_last_close
