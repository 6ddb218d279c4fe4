#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# insn_guest.sh ROUNDS SEED CASE...: the part of insn.sh that runs in the VM. A
# case is a contender, a way to it, and what to do:
#
#	ours-ram/virtio-vdpa/read/4096/32
#
# Every contender is there from the start but for vdpa_sim_blk, which comes and
# goes. Leaves in /results what insn_profile.pl wants to know.

set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=disk-lib.sh
. "$HERE/disk-lib.sh"

OUT=/results

# Requests in a window: whole batches of any depth.
REQUESTS=1600

# bind NAME DRIVER
bind() {
	local dev=$BUS/devices/$1

	[ ! -e "$dev/driver" ] || echo "$1" >"$dev/driver/unbind"
	echo "$2" >"$dev/driver_override"
	echo "$1" >"$BUS/drivers/$2/bind"
}

# --- the contenders, each with "way_" in its name sets NODE ----------------

# ours NAME VIA [PATH]: made once
ours() {
	local name=$1 driver=${2//-/_} config=/sys/kernel/config/vdpa_blk_sim/$1

	if [ ! -e "$BUS/devices/$name" ]; then
		if [ $# -eq 3 ]; then
			mkdir "$config"
			echo "$3" >"$config/path"
		fi
		vdpa dev add name "$name" mgmtdev vdpa_blk_sim
		bind "$name" "$driver"
	fi
	wait_for node_of "$name"
}

setup_ours-ram() {
	ours "ram-$1" "$1"
}

setup_ours-null_blk() {
	null_disk "nullb-$1"
	plain_queue "/dev/nullb-$1"
	ours "null-$1" "$1" "/dev/nullb-$1"
}

setup_null_blk() {
	null_disk nullb-direct
	NODE=/dev/nullb-direct
}

setup_brd() {
	[ -e /dev/ram0 ] || modprobe brd rd_nr=1 rd_size=65536
	NODE=/dev/ram0
}

# In 6.12 a second open through vhost-vdpa finds the remains of the first.
setup_vdpa_sim_blk() {
	insmod "$OUT/peers/vringh.ko"
	# Guest memory is pinned, as it is with ours.
	insmod "$OUT/peers/vdpa_sim.ko" use_va=0
	insmod "$OUT/peers/vdpa_sim_blk.ko"
	vdpa dev add name sim mgmtdev vdpasim_blk
	bind sim "${1//-/_}"
	wait_for node_of sim
}

teardown_vdpa_sim_blk() {
	vdpa dev del sim
	rmmod vdpa_sim_blk vdpa_sim vringh
}

# --- the measurement -------------------------------------------------------

# Where the modules are now; written only when that has changed.
symbols() {
	local modules

	modules=$(sort /proc/modules | cut -d ' ' -f 1,6 | md5sum | cut -c 1-12)
	syms=modules-$modules
	[ -e "$OUT/$syms" ] ||
		grep ']$' /proc/kallsyms >"$OUT/$syms"
}

# one CASE ROUND
one() {
	local contender via rw bs depth kind=disk syms

	IFS=/ read -r contender via rw bs depth <<<"$1"
	[ "$via" != vhost-vdpa ] || kind=vhost
	"setup_$contender" "$via"
	[ "$kind" = vhost ] || plain_queue "$NODE"
	symbols
	# What set-up has left to be done is not to fall into the window.
	sync
	"$HERE/insn_load" "$kind" "$NODE" "$rw" "$bs" "$depth" "$REQUESTS"
	echo "contender=$contender via=$via rw=$rw bs=$bs depth=$depth" \
		"n=$REQUESTS round=$2 syms=$syms" >>"$OUT/labels"
	if declare -F "teardown_$contender" >/dev/null; then
		"teardown_$contender"
	fi
}

main() {
	local rounds=$1 seed=$2 round case

	shift 2
	: >"$OUT/labels"
	uname -r >"$OUT/release"
	modprobe virtio_blk
	# A worker that polls counts for more the longer the client takes.
	modprobe vdpa_blk_sim poll_us=0
	grep -v ']$' /proc/kallsyms >"$OUT/vmlinux"
	for ((round = 1; round <= rounds; round++)); do
		while read -r case; do
			one "$case" "$round"
		done < <(printf '%s\n' "$@" |
			shuf --random-source=<(yes "$seed $round"))
	done
}

main "$@"
