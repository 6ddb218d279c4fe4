# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Disks to be measured, inside of a VM: how they come, and where they are then.

BUS=/sys/bus/vdpa

die() {
	echo "$(basename "$0" .sh): $*" >&2
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

# null_disk NAME [QUEUES]: made once, /dev/NAME
null_disk() {
	local config=/sys/kernel/config/nullb/$1

	[ ! -e "$config" ] || return 0
	# shellcheck disable=SC2154 # the module's
	[ -d /sys/kernel/config/nullb ] || modprobe null_blk nr_devices=0
	mkdir "$config"
	# No timer, no memory, through blk-mq: the ceiling.
	echo 0 >"$config/irqmode"
	echo 0 >"$config/completion_nsec"
	echo 2 >"$config/queue_mode"
	echo "${2:-1}" >"$config/submit_queues"
	echo 1 >"$config/power"
}

# described NAME ATTRIBUTE=VALUE...: a disk of ours made of a description; with
# a driver on the bus it is bound then.
described() {
	local name=$1 attr

	shift
	mkdir "/sys/kernel/config/vdpa_blk_sim/$name"
	for attr in "$@"; do
		echo "${attr#*=}" >"/sys/kernel/config/vdpa_blk_sim/$name/${attr%%=*}"
	done
	vdpa dev add name "$name" mgmtdev vdpa_blk_sim
}
