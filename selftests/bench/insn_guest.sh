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
OUT=/results
BUS=/sys/bus/vdpa

# Requests in a window: whole batches of any depth.
REQUESTS=1600

die() {
	echo "insn_guest: $*" >&2
	exit 1
}

wait_for() {
	local tries

	for ((tries = 0; tries < 200; tries++)); do
		! "$@" || return 0
		sleep 0.05
	done
	die "in vain: $*"
}

# bind NAME DRIVER
bind() {
	local dev=$BUS/devices/$1

	[ ! -e "$dev/driver" ] || echo "$1" >"$dev/driver/unbind"
	echo "$2" >"$dev/driver_override"
	echo "$1" >"$BUS/drivers/$2/bind"
}

# node_of NAME: sets NODE, which depends on the driver the disk is bound to.
node_of() {
	local path

	for path in "$BUS/devices/$1"/virtio*/block/* \
		"$BUS/devices/$1"/vhost-vdpa-*; do
		NODE=/dev/${path##*/}
		[ ! -e "$NODE" ] || return 0
	done
	return 1
}

# The same for all: nothing is sorted or merged.
plain_queue() {
	local queue=/sys/block/${1#/dev/}/queue

	# A bio-based disk has neither.
	if grep -q none "$queue/scheduler" 2>/dev/null; then
		echo none >"$queue/scheduler"
	fi
	echo 2 >"$queue/nomerges"
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

null_disk() {
	local config=/sys/kernel/config/nullb/$1

	[ ! -e "$config" ] || return 0
	mkdir "$config"
	# No timer, no memory, one queue through blk-mq: the ceiling.
	echo 0 >"$config/irqmode"
	echo 0 >"$config/completion_nsec"
	echo 2 >"$config/queue_mode"
	echo 1 >"$config/submit_queues"
	echo 1 >"$config/power"
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
	modprobe -a virtio_blk vdpa_blk_sim
	# shellcheck disable=SC2154 # awk's
	modprobe null_blk nr_devices=0
	grep -v ']$' /proc/kallsyms >"$OUT/vmlinux"
	for ((round = 1; round <= rounds; round++)); do
		while read -r case; do
			one "$case" "$round"
		done < <(printf '%s\n' "$@" |
			shuf --random-source=<(yes "$seed $round"))
	done
}

main "$@"
