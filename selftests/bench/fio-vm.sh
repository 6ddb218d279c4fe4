#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of fio.sh that runs in the VM. Every disk is there from the start;
# fio's own output goes to /results/fio.runs, behind a line that says whose it is.

# shellcheck source-path=SCRIPTDIR source=vm-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/vm-lib.sh"
# shellcheck source-path=SCRIPTDIR source=disk-lib.sh
. "$BENCH_DIR/disk-lib.sh"

notes=/results/fio.notes
MIB=64

# What fio does: name, engine, rw, block size, depth, jobs, more options.
JOBS="latency:pvsync2:randread:4096:1:1
latency:pvsync2:randwrite:4096:1:1
deep:libaio:randread:4096:32:1
deep:libaio:randread:4096:32:2
deep:libaio:randwrite:4096:32:1
small:io_uring:randread:512:64:1
stream:libaio:read:65536:16:1
stream:libaio:read:1048576:16:1
flush:pvsync2:randwrite:4096:1:1:fsync=1"
[ -z "${QUICK:-}" ] ||
	JOBS=$(grep -E '^(latency|deep):.*:randread:' <<<"$JOBS")

# Nodes, by contender and number of queues. Those without queues of their own
# have one node for all.
declare -A nodes

# Of these what was written can be read.
STORING="ours-ram ours-file vdpa_sim_blk brd loop"

# contender NAME QUEUES NODE
contender() {
	nodes["$1 $2"]=$3
	plain_queue "$3"
	if [[ " $STORING " == *" $1 "* ]]; then
		dd if=/dev/zero of="$3" bs=1M count=$MIB oflag=direct \
			status=none
	fi
}

# --- the contenders --------------------------------------------------------

# ours NAME QUEUES [PATH]
ours() {
	local name=$1-$2

	described "$name" "num_queues=$2" "size=${MIB}M" "path=${3:-}"
	wait_for node_of "$name"
	contender "$1" "$2" "$NODE"
}

# A null_blk for each, for nobody else can have it then.
set_up_ours() {
	local queues

	for queues in 1 2; do
		ours ours-ram $queues
		null_disk "nullb-ours-$queues" $queues
		plain_queue "/dev/nullb-ours-$queues"
		ours ours-null_blk $queues "/dev/nullb-ours-$queues"
		ours ours-file $queues "$(new_file "ours-$queues")"
	done
}

# In 6.12 it has one queue.
set_up_vdpa_sim_blk() {
	insmod /results/peers/vringh.ko
	insmod /results/peers/vdpa_sim.ko
	insmod /results/peers/vdpa_sim_blk.ko
	vdpa dev add name sim mgmtdev vdpasim_blk
	wait_for node_of sim
	contender vdpa_sim_blk 1 "$NODE"
}

# vduse NAME QUEUES BLOCKDEV
vduse() {
	local name=$1-$2

	qemu-storage-daemon --daemonize --blockdev "$3,node-name=disk" \
		--export "type=vduse-blk,id=export,name=$name,node-name=disk,num-queues=$2,writable=on"
	vdpa dev add name "$name" mgmtdev vduse
	wait_for node_of "$name"
	contender "$1" "$2" "$NODE"
}

set_up_vduse() {
	local queues

	if ! command -v qemu-storage-daemon >/dev/null; then
		skipped vduse "no qemu-storage-daemon, which is in qemu-utils"
		return
	fi
	modprobe vduse
	for queues in 1 2; do
		vduse vduse-null-co $queues \
			"driver=null-co,size=$((MIB << 20)),read-zeroes=on"
		null_disk "nullb-vduse-$queues" $queues
		plain_queue "/dev/nullb-vduse-$queues"
		vduse vduse-null_blk $queues \
			"driver=host_device,filename=/dev/nullb-vduse-$queues,cache.direct=on,aio=native"
	done
}

set_up_direct() {
	local queues loop

	modprobe loop
	for queues in 1 2; do
		null_disk "nullb-$queues" $queues
		contender null_blk $queues "/dev/nullb-$queues"
	done
	contender brd 1 /dev/ram0
	loop=$(losetup --find --show --direct-io=on "$(new_file loop)")
	contender loop 1 "$loop"
}

# Files for ours and for loop are in the same file system.
set_up_files() {
	modprobe brd rd_nr=2 rd_size=$((6 * MIB * 1024))
	mkfs.ext4 -q /dev/ram1
	mkdir /tmp/files
	mount /dev/ram1 /tmp/files
}

# new_file NAME: prints its path
new_file() {
	fallocate -l "${MIB}M" "/tmp/files/$1"
	echo "/tmp/files/$1"
}

# skipped CONTENDER REASON
skipped() {
	echo "skipped: $1: $2"
	echo "skipped $1: $2" >>"$notes"
}

# --- the measurement -------------------------------------------------------

# job_file QUEUES ALL: what there is to do with a disk of so many queues, in
# another order each time; ALL if there is no disk with another number.
job_file() {
	local job name engine rw bs depth jobs more

	cat <<-END
		[global]
		direct=1
		norandommap
		randrepeat=1
		group_reporting
		time_based
		runtime=1
		size=${MIB}M
		thread
	END
	for job in "${shuffled[@]}"; do
		IFS=: read -r name engine rw bs depth jobs more <<<"$job"
		[ -n "$2" ] || [ "$jobs" = "$1" ] || continue
		printf '%s\n' "[$name]" stonewall "ioengine=$engine" "rw=$rw" \
			"bs=$bs" "iodepth=$depth" "numjobs=$jobs" "$more"
	done
}

# fio_run CONTENDER QUEUES ROUND
fio_run() {
	local other=$((3 - $2)) all=

	[ -n "${nodes["$1 $other"]:-}" ] || all=yes
	# shellcheck disable=SC2086 # a list
	shuffle $JOBS
	job_file "$2" "$all" >/tmp/jobs
	fio --filename="${nodes["$1 $2"]}" --output-format=json \
		--output=/tmp/run /tmp/jobs || die "fio failed on $1"
	{
		printf '{"contender":"%s","round":%u}\n' "$1" "$3"
		cat /tmp/run
	} >>/results/fio.runs
}

# A disk that is fast and wrong has not won.
verify() {
	local name

	for name in $STORING; do
		[ -n "${nodes["$name 1"]:-}" ] || continue
		fio --name=verify --filename="${nodes["$name 1"]}" --direct=1 \
			--rw=randwrite --bs=8k --size=8M --ioengine=libaio \
			--iodepth=32 --verify=crc32c --do_verify=1 \
			--verify_fatal=1 --verify_state_save=0 \
			--randseed="$RANDOM" --minimal >/tmp/verify ||
			die "$name does not keep what is written to it"
	done
	echo "verified: crc32c of blocks written at random, on $STORING" >>"$notes"
}

set_up() {
	# Every disk is virtio_vdpa's then.
	modprobe -r vhost_vdpa
	modprobe -a virtio_blk vdpa_blk_sim
	set_up_files
	set_up_ours
	set_up_vdpa_sim_blk
	set_up_vduse
	set_up_direct
	skipped ublk "Debian has no server for it"
	cat >>"$notes" <<-END
		kernel: Linux $(uname -r), $(nproc) CPUs, $(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo)
		queues: as many as jobs; but vdpa_sim_blk and loop have one, and brd needs none
		files: on ext4 on brd, behind ours-file and, with direct I/O, behind loop
		vduse: qemu-storage-daemon, vduse-null-co with null-co (read-zeroes=on), vduse-null_blk with host_device (aio=native)
	END
}

main_fio() {
	local round key

	set_up
	verify
	for ((round = 1; round <= ROUNDS; round++)); do
		shuffle "${!nodes[@]}"
		echo "round $round: ${shuffled[*]}"
		for key in "${shuffled[@]}"; do
			fio_run "${key% *}" "${key#* }" "$round"
		done
	done
}

main_fio
