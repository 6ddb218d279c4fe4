# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Common ground of the vdpa_blk shell tests. A test sources this file, names
# its cases as functions and ends with "run_cases CASE...". Each case runs in
# a subshell of its own under "set -e", so its first failing command fails it,
# and whatever it made through these helpers is taken down when it ends,
# however it ends. Nothing else on the machine is touched.
#
# Arguments of a test are the cases to run; without any, all.
#
# What a user may set:
#   KSFT_DIR          folder with kselftest/ktap_helpers.sh (default ..)
#   VDPA_BLK_MODULE   path of the module to insmod (default: the one modprobe
#                     finds, else the one built in this tree)
#   SEED              seed of the random tests (default: a new one, printed)

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
KSFT_DIR=${KSFT_DIR:-$HERE/..}
TEST=$(basename "$0" .sh)
KSFT_SKIP=4
WANTED=("$@")

# The names are variables so that the tests can be pointed at another block
# parent to compare behaviour.
MOD=${VDPA_BLK_MODNAME:-vdpa_blk_sim}
MGMTDEV=${VDPA_BLK_MGMTDEV:-$MOD}
VDPA_BUS=/sys/bus/vdpa

export PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

if [ ! -r "$KSFT_DIR/kselftest/ktap_helpers.sh" ]; then
	echo "1..0 # SKIP no kselftest/ktap_helpers.sh in $KSFT_DIR, set KSFT_DIR"
	exit $KSFT_SKIP
fi
# shellcheck source=/dev/null
. "$KSFT_DIR/kselftest/ktap_helpers.sh"

# ---- saying things --------------------------------------------------------

say() {
	echo "$*"
}

fail() {
	echo "FAILED: $*"
	exit 1
}

# skip REASON: ends the case
skip() {
	echo "$*" > "$TMP/skip"
	exit $KSFT_SKIP
}

skip_all() {
	ktap_print_header
	ktap_skip_all "$*"
	exit $KSFT_SKIP
}

# expect WHAT WANT GOT
expect() {
	[ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

# refused TEXT CMD...: the command fails, and its output says TEXT (an
# extended regular expression)
refused() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		fail "'$*' was expected to fail with '$text', but succeeded"
	fi
	echo "$out" | grep -Eq "$text" ||
		fail "'$*' was expected to fail with '$text', said '$out'"
}

# wait_for SECONDS CMD...: until CMD succeeds. The only kind of waiting here,
# long enough for the slowest emulator; nothing is judged by time.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	while ! "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# ---- what a test needs ----------------------------------------------------

need_root() {
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
}

# need CMD...: skips the case unless every command is there
need() {
	local c
	for c in "$@"; do
		command -v "$c" > /dev/null || skip "no $c"
	done
}

# need_module NAME...: skips the case unless the kernel has each of them
need_module() {
	local m
	for m in "$@"; do
		[ -d "/sys/module/${m//-/_}" ] || modprobe -q "$m" ||
			skip "no $m in this kernel"
	done
}

in_uml() {
	grep -q "User Mode Linux" /proc/cpuinfo
}

# mem_mib FIELD: a field of /proc/meminfo
mem_mib() {
	awk -v f="$1:" '$1 == f { print int($2 / 1024) }' /proc/meminfo
}

need_mem() {
	[ "$(mem_mib MemAvailable)" -ge "$1" ] ||
		skip "needs $1 MiB of free memory"
}

# Starting a process takes a tenth of a second where both user-mode Linux and
# KASAN are at work. SLOW tests do the same things, only fewer times.
SLOW=
if in_uml && zgrep -q '^CONFIG_KASAN=y' /proc/config.gz 2> /dev/null; then
	SLOW=yes
fi

# A kernel in an emulated CPU: ten times slower, too. Tests that only need
# fewer rounds there ask for it.
EMULATED=
if grep -q "QEMU TCG" /proc/cpuinfo; then
	# shellcheck disable=SC2034 # for tests
	EMULATED=yes
fi

# often N SLOW-N: how often to do something
often() {
	if [ -n "$SLOW" ]; then
		echo "$2"
	else
		echo "$1"
	fi
}

# ---- the kernel log -------------------------------------------------------

# What no test may cause. Sanitizers, lockdep, allocator and hung task
# reports all match one of these.
KLOG_BAD='WARNING:|BUG:|kernel BUG|Oops|KASAN|KMSAN|KCSAN|UBSAN|general protection'
KLOG_BAD+='|possible (circular|recursive|irq lock)|inconsistent lock|INFO: (task|rcu|possible)'
KLOG_BAD+='|suspicious RCU|DEBUG_LOCKS_WARN_ON|bad unlock balance|held lock freed'
KLOG_BAD+='|ODEBUG|refcount_t|list_(add|del) corruption|unreferenced object'
KLOG_BAD+='|soft lockup|hard LOCKUP|rcu.*stall|blocked for more than'
KLOG_BAD+='|page allocation failure|Out of memory|oom-kill|Call Trace:|Kernel panic'

# What a test does cause, and has to: nothing.
KLOG_KNOWN='^$'

# The marker tells a reader of the log which test a line belongs to. Where
# writing it is rate limited, the last line there is does as well.
klog_mark() {
	echo "vdpa_blk selftest: $TEST: $1" > /dev/kmsg 2> /dev/null || :
	KLOG_MARK=$(dmesg | tail -n 1)
}

# Everything since the marker; everything there is if it was pushed out.
klog() {
	local log
	log=$(dmesg)
	printf '%s\n' "${log##*"$KLOG_MARK"}"
}

# klog_count REGEX: lines since the start of the case that match
klog_count() {
	klog | grep -Ec "$1" || :
}

# ---- the module -----------------------------------------------------------

mod_loaded() {
	[ -d "/sys/module/$MOD" ]
}

# The module file, and whether modprobe knows it.
MOD_FILE=${VDPA_BLK_MODULE:-}
MOD_INSTALLED=
if [ -z "$MOD_FILE" ]; then
	if MOD_FILE=$(modinfo -n "$MOD" 2> /dev/null); then
		MOD_INSTALLED=yes
	else
		MOD_FILE=$TOP/drivers/vdpa/${MOD#vdpa_}/$MOD.ko
	fi
fi

# mod_insert [PARAM=VALUE...]
mod_insert() {
	local d
	if [ -n "$MOD_INSTALLED" ]; then
		modprobe "$MOD" "$@"
		return
	fi
	for d in $(modinfo -F depends "$MOD_FILE" | tr , ' '); do
		modprobe "$d"
	done
	insmod "$MOD_FILE" "$@"
}

# load [PARAM=VALUE...]: the module with just these parameters. A disk that
# is none of ours keeps the module loaded, so the case is skipped then.
load() {
	if mod_loaded; then
		[ $# -gt 0 ] || [ -e "$TMP/params" ] || return 0
		[ -z "$(disks)" ] || skip "$MOD is in use by: $(disks)"
		rmmod "$MOD"
	fi
	rm -f "$TMP/params"
	mod_insert "$@"
	: > "$TMP/loaded"
	[ $# -eq 0 ] || : > "$TMP/params"
}

# unload: fails the case if it does not work
unload() {
	[ -z "$(disks)" ] || skip "$MOD is in use by: $(disks)"
	! mod_loaded || rmmod "$MOD"
	rm -f "$TMP/params"
}

param() {
	cat "/sys/module/$MOD/parameters/$1"
}

# ---- disks ----------------------------------------------------------------

# disks: names of all disks of our management device
disks() {
	local d
	for d in "/sys/devices/$MGMTDEV"/*/driver_override; do
		[ -e "$d" ] || continue
		d=${d%/*}
		echo "${d##*/}"
	done
}

# disk_add NAME [FEATURES]
disk_add() {
	local features=()
	echo "$1" >> "$TMP/disks"
	# The tool reads every number as hexadecimal.
	[ -z "${2:-}" ] || features=(device_features "$(printf 0x%x "$2")")
	vdpa dev add name "$1" mgmtdev "$MGMTDEV" "${features[@]}"
}

disk_del() {
	vdpa dev del "$1"
}

disk_exists() {
	[ -e "$VDPA_BUS/devices/$1" ]
}

# disk_driver NAME: which bus driver has it, if any
disk_driver() {
	local d
	d=$(readlink "$VDPA_BUS/devices/$1/driver") || return 0
	echo "${d##*/}"
}

# autoprobe 0|1: whether the bus gives new disks to a driver by itself; 1
# again at the end of the case
autoprobe() {
	echo "$1" > "$VDPA_BUS/drivers_autoprobe"
	: > "$TMP/autoprobe"
}

disk_unbind() {
	local d
	d=$(disk_driver "$1")
	[ -z "$d" ] || echo "$1" > "$VDPA_BUS/drivers/$d/unbind"
}

# disk_bind NAME DRIVER
disk_bind() {
	local want=$2
	[ -d "$VDPA_BUS/drivers/$want" ] || modprobe "$want" ||
		skip "no $want in this kernel"
	[ "$want" != virtio_vdpa ] || [ -d /sys/bus/virtio/drivers/virtio_blk ] ||
		modprobe virtio_blk || skip "no virtio_blk in this kernel"
	[ "$(disk_driver "$1")" != "$want" ] || return 0
	disk_unbind "$1"
	# Without the override the next driver to be loaded would take it.
	echo "$want" > "$VDPA_BUS/devices/$1/driver_override"
	echo "$1" > "$VDPA_BUS/drivers/$want/bind"
}

# A virtio device is below the one that does its DMA: a PCI function has the disk
# and the virtio device side by side.
__disk_blk() {
	local d
	for d in "$VDPA_BUS/devices/$1"/{.,..}/virtio*/block/*; do
		[ -b "/dev/${d##*/}" ] && echo "/dev/${d##*/}" && return 0
	done
	return 1
}

# disk_blk NAME: binds it to virtio_vdpa and prints its /dev/vdX
disk_blk() {
	disk_bind "$1" virtio_vdpa
	wait_for 60 __disk_blk "$1"
}

__disk_chr() {
	local d
	for d in "$VDPA_BUS/devices/$1"/vhost-vdpa-*; do
		[ -c "/dev/${d##*/}" ] && echo "/dev/${d##*/}" && return 0
	done
	return 1
}

# disk_chr NAME: binds it to vhost_vdpa and prints its /dev/vhost-vdpa-N
disk_chr() {
	disk_bind "$1" vhost_vdpa
	wait_for 60 __disk_chr "$1"
}

# queue FILE DEV: an attribute of /sys/block/vdX/
blk_attr() {
	cat "/sys/block/${2##*/}/$1"
}

# ---- libblkio, as qemu-io uses it ----------------------------------------

need_libblkio() {
	need qemu-io
	# Built in or a module, the driver list has it.
	qemu-io --image-opts driver=virtio-blk-vhost-vdpa,path=/nonexistent,cache.direct=on \
		-c quit 2>&1 | grep -qi "unknown driver" &&
		skip "this qemu-io has no libblkio driver (package qemu-block-extra)"
	:
}

# io COMMAND...: each a qemu-io command, on the node $CHR
io() {
	local c
	local -a args
	for c in "$@"; do
		args+=(-c "$c")
	done
	if ! qemu-io --image-opts \
		"driver=virtio-blk-vhost-vdpa,path=$CHR,cache.direct=on" \
		"${args[@]}" > "$TMP/io" 2>&1 ||
		grep -Eqi "fail|error" "$TMP/io"; then
		grep -vE "^(wrote|read|discard) |ops;" "$TMP/io"
		return 1
	fi
}

# ---- disks under load -----------------------------------------------------

# load_on DEV: I/O until the disk is gone
load_on() {
	background fio --name=load --filename="$1" --direct=1 --allow_file_create=0 \
		--ioengine=libaio --rw=randrw --bs=4k --iodepth=16 \
		--size=16M --time_based --runtime=600 --minimal \
		--randseed="$RANDOM" > "$TMP/load" 2>&1
	LOAD=$BG_PID
}

io_has_begun() {
	# The first field counts the reads that are done.
	[ "$(awk '{ print $1 }' "/sys/block/${1##*/}/stat" 2> /dev/null)" -gt 100 ]
}

load_ended() {
	! kill -0 "$LOAD" 2> /dev/null
}

# The load must end with an error, and not hang on requests nobody answers.
load_must_end() {
	wait_for 60 load_ended || fail "fio hangs: $(ps -o stat,wchan,args -p "$LOAD")"
}

# ---- background jobs and mounts -------------------------------------------

# background CMD...: sets BG_PID; killed at the end of the case
background() {
	"$@" &
	BG_PID=$!
	echo "$BG_PID" >> "$TMP/pids"
}

# mount_at DIR MOUNT-ARGS...: unmounted at the end of the case
mount_at() {
	local dir=$1
	shift
	mkdir -p "$dir"
	mount "$@" "$dir" || return
	echo "$dir" >> "$TMP/mounts"
}

unmount() {
	umount "$1"
}

# at_end CMD...: run when the case has ended and its disks are deleted; what
# was said last is run first
at_end() {
	printf '%q ' "$@" >> "$TMP/at_end"
	echo >> "$TMP/at_end"
}

case_cleanup() {
	local rc=$? i
	trap - EXIT ERR
	set +eE
	# A test may keep a device open as descriptor 9.
	exec 9>&-
	while read -r i; do
		kill -9 "$i" 2> /dev/null
		wait "$i" 2> /dev/null
	done < "$TMP/pids"
	while read -r i; do
		! mountpoint -q "$i" || umount "$i"
	done < "$TMP/mounts"
	while read -r i; do
		! disk_exists "$i" || vdpa dev del "$i" ||
			{ echo "FAILED: disk $i cannot be deleted"; rc=1; }
	done < "$TMP/disks"
	[ ! -e "$TMP/autoprobe" ] || autoprobe 1
	while read -r i; do
		eval "$i" || { echo "FAILED: at the end: $i"; rc=1; }
	done < <(tac "$TMP/at_end")
	exit "$rc"
}

# ---- running --------------------------------------------------------------

__run_case() (
	trap case_cleanup EXIT
	trap 'exit 130' INT TERM
	trap 'echo "${FUNCNAME[0]}, line $LINENO: failed with $?: $BASH_COMMAND"' ERR
	set -eE
	"$1"
)

test_cleanup() {
	if [ -e "$TMP/loaded" ] && [ -z "$(disks)" ]; then
		rmmod "$MOD" 2> /dev/null
	fi
	rm -rf "$TMP"
}

# run_cases FUNCTION...: one TAP line for each
run_cases() {
	local c rc name bad

	for c in "${WANTED[@]}"; do
		case " $* " in
		*" $c "*) ;;
		*)
			ktap_print_msg "no such case: $c; there are: $*"
			ktap_exit_fail_msg "no such case: $c"
			;;
		esac
	done
	[ ${#WANTED[@]} -eq 0 ] || set -- "${WANTED[@]}"
	ktap_print_header
	ktap_set_plan $#
	for c in "$@"; do
		name=${c//_/ }
		# Nothing is made yet that would have to be taken down.
		: > "$TMP/pids"
		: > "$TMP/mounts"
		: > "$TMP/disks"
		: > "$TMP/at_end"
		rm -f "$TMP/skip" "$TMP/autoprobe"
		klog_mark "$name"
		# A signal for all of us must not end sed, or the cleanup would
		# write into a broken pipe and end as well.
		__run_case "$c" 2>&1 | (trap '' INT TERM; exec sed -u 's/^/# /')
		rc=${PIPESTATUS[0]}
		bad=$(klog | grep -E "$KLOG_BAD" | grep -Ev "$KLOG_KNOWN" |
			head -n 5)
		if [ -n "$bad" ]; then
			echo "# FAILED: the kernel log has:"
			printf '#   %s\n' "${bad//$'\n'/$'\n'#   }"
			rc=1
		fi
		case $rc in
		0)
			ktap_test_pass "$name"
			;;
		"$KSFT_SKIP")
			__ktap_test ok "$name" "SKIP $(cat "$TMP/skip")"
			KTAP_CNT_SKIP=$((KTAP_CNT_SKIP + 1))
			;;
		*)
			ktap_test_fail "$name"
			klog | tail -n 20 | sed 's/^/#   log: /'
			;;
		esac
		[ "$rc" -ne 130 ] || ktap_exit_fail_msg "interrupted"
	done
	if [ "$KTAP_CNT_SKIP" -eq $# ]; then
		ktap_print_totals
		exit $KSFT_SKIP
	fi
	ktap_finished
}

need_root
command -v vdpa > /dev/null || skip_all "no vdpa tool (package iproute2)"
[ -r "$MOD_FILE" ] || skip_all "no module $MOD for $(uname -r)"
modprobe vdpa 2> /dev/null || [ -d $VDPA_BUS ] ||
	skip_all "this kernel has no vDPA"

TMP=$(mktemp -d)
trap test_cleanup EXIT
trap 'exit 130' INT TERM
# Clients pin their memory, and root is not exempt from the limit.
ulimit -l unlimited 2> /dev/null || :
SEED=${SEED:-$RANDOM}
