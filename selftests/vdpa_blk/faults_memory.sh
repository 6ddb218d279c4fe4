#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel has no memory: each allocation in turn is refused, while the module
# is loaded, a disk is made, a client sets it up and uses it. Each time there is
# an error and no more than that, and at the end no memory is lost.
#
# Only allocations with a function of interest on the stack count, for there are
# thousands that are none of ours.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/storage.sh"

# A file system says so when it has no memory.
# shellcheck disable=SC2034 # for run_cases
KLOG_KNOWN="EXT4-fs"
DEBUGFS=/sys/kernel/debug
FAULTS=("$DEBUGFS/failslab" "$DEBUGFS/fail_page_alloc")
KMEMLEAK=$DEBUGFS/kmemleak
CLIENT=$HERE/memory_faults
MIB=64
MAX_POINTS=5000

need_faults() {
	mountpoint -q $DEBUGFS || mount -t debugfs debugfs $DEBUGFS
	[[ -e /proc/self/fail-nth && -e ${FAULTS[0]}/require-start &&
		-e ${FAULTS[1]}/require-start ]] ||
		skip "no fault injection with a stack filter in this kernel"
	[ -x "$CLIENT" ] || skip "memory_faults is not built"
}

# faults FILE VALUE: of both kinds
faults() {
	local d
	for d in "${FAULTS[@]}"; do
		[ ! -e "$d/$1" ] || echo "$2" > "$d/$1"
	done
}

# only START END: addresses, one between them is on the stack
only() {
	# A stack trace would be in the log as for a bug.
	faults verbose 0
	faults ignore-gfp-wait N
	faults min-order 0
	faults require-start "0x$1"
	faults require-end "0x$2"
}

# The text of a module, as "START END"; to the end of the last function's page
module_text() {
	local start end
	{ read -r start; read -r end; } < <(awk -v mod="[$1]" \
		'$4 == mod && $2 ~ /[tT]/ { print $1 }' /proc/kallsyms |
		sort | sed -n '1p;$p')
	printf '%s %x\n' "$start" $(((16#$end | 4095) + 1))
}

# A function of the kernel's, as "START END"
function_text() {
	awk -v name="$1" 'start && $1 != start { print start, $1; exit }
		$3 == name { start = $1 }' <(sort /proc/kallsyms)
}

only_in() {
	# shellcheck disable=SC2046 # two words
	only $("$@")
	say "refused below $*: $(cat "${FAULTS[0]}/require-start") to $(cat "${FAULTS[0]}/require-end")"
}

# Whether anything was refused since faults times 1
was_refused() {
	local d times
	for d in "${FAULTS[@]}"; do
		read -r times < "$d/times"
		[ "$times" -ne 0 ] || return 0
	done
	return 1
}

# each_point UNDO CMD...: with each allocation refused in turn CMD fails for no
# other reason, or succeeds all the same; UNDO is for when it does
each_point() {
	local undo=$1 n refused=yes failed=0
	shift
	for ((n = 0; n < MAX_POINTS && ${#refused}; n++)); do
		faults times 1
		# shellcheck disable=SC2016 # of that shell
		if sh -c 'echo "$0" > /proc/self/fail-nth; exec "$@"' \
			$((n + 1)) "$@" > "$TMP/said" 2>&1; then
			was_refused || refused=
			"$undo"
		else
			was_refused || fail "$*: $(cat "$TMP/said")"
			failed=$((failed + 1))
		fi
	done
	say "$((n - 1)) allocations refused, $failed times it failed"
	[ $n -gt 1 ] || fail "nothing was refused"
	[ -z "$refused" ] || fail "no end"
}

mod_remove() {
	rmmod "$MOD"
}

the_module() {
	need_faults
	load
	unload
	only_in function_text do_one_initcall
	each_point mod_remove insmod "$MOD_FILE"
	load
	disk_add mem0
}

disk_remove() {
	disk_del mem0
}

# a_disk WHERE [ATTR=VALUE...]: WHERE is for only_in
a_disk() {
	local where=$1
	shift
	autoprobe 0
	[ $# -eq 0 ] || desc_add mem0 "$@"
	# shellcheck disable=SC2086 # two words
	only_in $where
	each_point disk_remove vdpa dev add name mem0 mgmtdev "$MGMTDEV"
	disk_add mem0
}

a_disk_in_ram() {
	need_faults
	unload
	load num_queues=1
	a_disk "module_text $MOD"
}

# The rest is as in RAM.
a_backing_device() {
	need_faults
	load
	back_null_blk $MIB
	a_disk "function_text vbs_backend_open" "path=$BACKING"
}

a_backing_file() {
	need_faults
	load
	back_file ext4 $MIB
	a_disk "function_text vbs_backend_open" "path=$BACKING"
}

desc_remove() {
	rmdir "$DESCS/mem0"
}

a_description() {
	need_faults
	need_configfs
	load
	only_in module_text "$MOD"
	each_point desc_remove mkdir "$DESCS/mem0"
}

a_client_of_vhost_vdpa() {
	local chr
	need_faults
	load
	disk_add mem0
	chr=$(disk_chr mem0)
	only_in module_text vhost_vdpa
	"$CLIENT" setup "$chr"
}

# A driver that has found no memory leaves no disk, and one that is there works.
disk_release() {
	local dev
	if dev=$(__disk_blk mem0); then
		dd if="$dev" of=/dev/null bs=4096 count=1 iflag=direct \
			status=none
		WITH_DISK=$((WITH_DISK + 1))
	fi
	disk_unbind mem0
}

a_client_of_virtio_vdpa() {
	need_faults
	load
	disk_add mem0
	disk_blk mem0 > /dev/null
	disk_unbind mem0
	WITH_DISK=0
	only_in module_text "$MOD"
	# shellcheck disable=SC2016 # of that shell
	each_point disk_release sh -c 'echo mem0 > "$0"' \
		"$VDPA_BUS/drivers/virtio_vdpa/bind"
	say "$WITH_DISK times there was a disk"
}

# The disk's worker, and all that may do delayed work for it
threads() {
	grep -lE "^(vbs-$1/|kworker)" /proc/[0-9]*/comm 2> /dev/null |
		cut -d/ -f3
}

# requests PATH [ATTR=VALUE...]
requests() {
	local chr
	need_faults
	load
	if [ -n "$1" ]; then
		disk_on mem0 "$@"
	else
		disk_add mem0
	fi
	chr=$(disk_chr mem0)
	only_in module_text "$MOD"
	# shellcheck disable=SC2046 # one word for each
	"$CLIENT" io "$chr" $(threads mem0)
}

requests_in_ram() {
	requests ""
}

requests_on_a_device() {
	back_null_blk $MIB
	requests "$BACKING"
}

requests_on_a_file() {
	load
	back_file ext4 $MIB
	requests "$BACKING"
}

requests_on_a_buffered_file() {
	load
	back_file ext4 $MIB
	requests "$BACKING" direct_io=0
}

# It takes no notice of what is younger than five seconds.
nothing_is_lost() {
	[ -e $KMEMLEAK ] || skip "no kmemleak in this kernel"
	unload
	sleep 6
	echo scan > $KMEMLEAK
	echo scan > $KMEMLEAK
	cat $KMEMLEAK
	[ -z "$(cat $KMEMLEAK)" ] || fail "memory is lost"
}

run_cases the_module a_description a_disk_in_ram a_backing_device a_backing_file \
	a_client_of_vhost_vdpa a_client_of_virtio_vdpa requests_in_ram \
	requests_on_a_device requests_on_a_file requests_on_a_buffered_file \
	nothing_is_lost
