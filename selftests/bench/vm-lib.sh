# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the parts of the benchmark share inside of the VM, whose kernel they have
# for themselves: the client on CPU 0, what serves it on CPU 1.

set -euo pipefail

BENCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
raw=/results/$(basename "$0" -vm.sh).raw
CLIENT=/tmp/vhost_bench
POOL=/mnt/pool
RANDOM=${SEED:?}
: "${ROUNDS:?}"

# More than the clients' usual limit, for memory in a million pieces.
MAX_IOTLB=1200000

bench_setup() {
	# First, as long as there is memory in one piece.
	mount -t tmpfs tmpfs /mnt
	fallocate -l 64M $POOL
	make -s -C "$BENCH_DIR" OUTPUT=/tmp vhost_bench
	# New disks are vhost_vdpa's then.
	modprobe -r virtio_vdpa vhost_vdpa
	modprobe vhost_vdpa max_iotlb_entries=$MAX_IOTLB
}

# shuffle WORD...: sets the array "shuffled"; not in a subshell, which would
# begin with the same numbers again.
shuffle() {
	local i j tmp

	shuffled=("$@")
	for ((i = $# - 1; i > 0; i--)); do
		j=$((RANDOM % (i + 1)))
		tmp=${shuffled[i]}
		shuffled[i]=${shuffled[j]}
		shuffled[j]=$tmp
	done
}

# contender_load NAME: what it needs, freshly loaded: vdpa_sim_blk does not
# always get going when its node is opened once more.
contender_load() {
	case $1 in
	ours-*)
		modprobe vdpa_blk_sim
		mgmtdev=vdpa_blk_sim
		;;
	vdpa_sim_blk-*)
		modprobe vdpa_sim "use_va=${1##*-va}" \
			"batch_mapping=${SIM_BATCH_MAPPING:-1}" \
			max_iotlb_entries=$MAX_IOTLB
		modprobe vdpa_sim_blk
		mgmtdev=vdpasim_blk
		;;
	esac
}

contender_unload() {
	modprobe -r vdpa_blk_sim vdpa_sim_blk vdpa_sim
}

# Left alone, the scheduler sometimes puts a worker on the CPU that the client
# is polling on, and then it waits for milliseconds.
pin_workers() {
	local pid

	for pid in $(pgrep "^vbs-$1/|^vDPA sim"); do
		taskset -p 2 "$pid" >/dev/null
	done
}

# disk_add NAME: sets "node".
disk_add() {
	vdpa dev add name "$1" mgmtdev "$mgmtdev"
	node=/dev/$(basename "/sys/bus/vdpa/devices/$1/"vhost-vdpa-*)
	pin_workers "$1"
}

disk_del() {
	vdpa dev del "$1"
}

# client WORD=VALUE...: on $node; its values go to $raw.
client() {
	if ! "$CLIENT" "$node" "$@" >/tmp/client.out; then
		echo "the client failed ($*):" >&2
		grep '^#' /tmp/client.out >&2
		return 1
	fi
	grep -v '^#' /tmp/client.out >>"$raw"
}

# value PART CONTENDER METRIC UNIT PARAMS VALUE: one that is not the client's.
value() {
	printf '{"part":"%s","contender":"%s","via":"vdpa","metric":"%s","unit":"%s","params":{%s},"value":%s}\n' \
		"$@" >>"$raw"
}
