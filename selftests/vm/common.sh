# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Shared by setup.sh, build.sh and vm.sh: the cache, packages, progress lines,
# the trixie root as a place to build in, and leaving nothing behind.

set -euo pipefail

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # used by the scripts that read this
TOP=$(cd "$VM_DIR/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vdpa-blk
# shellcheck disable=SC2034
KERNELS="6.12 7.3 debug kcsan uml uml-debug uml-faults uml-gcov"

# What cleanup() has to end and to remove.
job=
scratch=()

# built_here KERNEL: and not Debian's
built_here() {
	case $1 in
	uml* | debug | kcsan) ;;
	*) return 1 ;;
	esac
}

log() {
	printf 'vdpa-blk: %s\n' "$*" >&2
}

die() {
	log "$*"
	exit 2
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

kill_tree() {
	local pid=$1 child

	for child in $(pgrep -P "$pid"); do
		kill_tree "$child"
	done
	as_root kill -KILL "$pid" 2>/dev/null || true
}

cleanup() {
	trap '' INT TERM HUP
	trap - EXIT
	if [ -n "$job" ]; then
		kill_tree "$job"
		wait "$job" 2>/dev/null || true
	fi
	# A failed root folder belongs to root, whoever started us.
	if [ "${#scratch[@]}" -gt 0 ]; then
		rm -rf -- "${scratch[@]}" 2>/dev/null ||
			as_root rm -rf -- "${scratch[@]}"
	fi
}

cleanup_on_exit() {
	trap cleanup EXIT
	trap 'cleanup; exit 130' INT
	trap 'cleanup; exit 143' TERM HUP
}

# In the background and waited for, so that a trap runs at once and not after
# the build; bash delays traps while a child is in the foreground. The status
# is a variable: in "if run_job" or "run_job ||" bash would ignore a failing
# command in the function that runs, whatever set -e says.
run_job() {
	job_status=0
	"$@" </dev/null &
	job=$!
	wait "$job" || job_status=$?
	job=
}

# step LOGNAME 'what (how long)' COMMAND...: one line of progress, the details
# in a log that is shown when the command fails.
step() {
	local logfile=$CACHE/log/$1.log what=$2 start=$SECONDS

	shift 2
	mkdir -p "$CACHE/log"
	log "$what ..."
	run_job "$@" >"$logfile" 2>&1
	if [ "$job_status" -ne 0 ]; then
		log "$what FAILED; the end of $logfile:"
		tail -n 25 "$logfile" >&2
		exit 2
	fi
	log "... done in $((SECONDS - start)) s"
}

# Lists are stale after a day, and missing in a fresh container.
apt_lists_fresh() {
	[ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' \
		-print -quit 2>/dev/null)" ] &&
		[ -n "$(find /var/lib/apt/lists -maxdepth 0 -mtime -1)" ]
}

apt_install() {
	apt_lists_fresh || as_root apt-get update
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "$@"
}

have_pkg() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

need_pkgs() {
	local pkg missing=()

	for pkg in "$@"; do
		have_pkg "$pkg" || missing+=("$pkg")
	done
	[ "${#missing[@]}" -eq 0 ] && return
	command -v apt-get >/dev/null ||
		die "this machine has no apt-get; please install: ${missing[*]}"
	mkdir -p "$CACHE"
	(
		flock 9
		step host-packages "installing on this machine: ${missing[*]}" \
			apt_install "${missing[@]}"
	) 9>"$CACHE/host-packages.lock"
}

# key_of FILE|WORD...: a content key; files count by content, words as such.
key_of() {
	local item

	for item in "$@"; do
		if [ -f "$item" ]; then
			cat "$item"
		else
			printf '%s\n' "$item"
		fi
	done | sha256sum | cut -c1-12
}

# in_root 'HOST:GUEST ...' COMMAND...: run in the trixie root, as root, with
# folders of the host bound to fixed places. The mounts live in a name space
# of their own and the processes too: both vanish with the command, however
# it ends. Fixed places keep a moved cache or checkout from building anew.
in_root() {
	local binds=$1 root

	shift
	root=$(item_path root)
	# shellcheck disable=SC2016 # expanded in the new name space
	as_root unshare --mount --propagation private --pid --fork \
		--kill-child bash -c '
		set -e
		root=$1 binds=$2
		shift 2
		mount --bind -o ro "$root" "$root"
		mount --bind /dev "$root/dev"
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/tmp"
		while IFS=: read -r from to; do
			[ -z "$from" ] || mount --bind "$from" "$root/$to"
		done <<<"$binds"
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
		' in_root "$root" "$binds" "$@"
}

# What was built as root in the chroot shall belong to the user.
give_back() {
	[ "$(id -u)" -eq 0 ] || as_root chown -R "$(id -u):$(id -g)" "$1"
}
