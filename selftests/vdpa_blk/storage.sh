# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Descriptions of disks, and things to back a disk with. A test sources this
# file after common.sh. All of it is taken down when the case ends.
#
# Descriptions (configfs):
#   desc_add NAME [ATTR=VALUE...]    make one
#   desc_set NAME ATTR VALUE         write an attribute
#   desc_get NAME ATTR               read it
#   desc_del NAME                    remove it
#   disk_on NAME PATH [ATTR=VALUE...]  description and disk on a backing
#
# Backings; each sets BACKING to the path. ATTR is one of the kernel's:
#   back_null_blk MIB [ATTR=VALUE...]  memory backed, with discard
#   back_loop MIB [LOSETUP-ARG...]     a file in $TMP behind it: BACKING_FILE
#   back_brd MIB
#   back_lvm MIB                       a logical volume on a loop device
#   back_nvme MIB [loop]               nvme-tcp on 127.0.0.1, null_blk behind, or
#                                      a loop device: nvme_grow MIB
#   back_nbd MIB                       qemu-nbd, a file in $TMP behind it
#   back_file ext4|xfs MIB [FS-MIB]    a sparse file, in a file system of its
#                                      own on a loop device, mounted at
#                                      BACKING_MNT
#   back_fs TYPE DEV                   a file system on DEV at BACKING_MNT;
#                                      BACKING_DEV is DEV
#   make_readonly DEV                  a loop device would stay so
#   dm_add NAME TABLE                  device mapper; sets BACKING
#   dm_swap NAME TABLE                 another table while it is in use
# Each is taken down earlier with null_blk_del NAME, fs_del MNT, dm_del NAME.
#
# Statistics (sysfs):
#   vq_sum NAME FILE                 sum of a file over the queues of a disk
#   stat_field NAME N                Nth number (from 1) of the disk's "stat"

CONFIGFS=/sys/kernel/config
DESCS=$CONFIGFS/$MOD

need_configfs() {
	need_module configfs
	[ -d $CONFIGFS ] || skip "no configfs"
	mountpoint -q $CONFIGFS || mount -t configfs configfs $CONFIGFS
}

# ---- descriptions ---------------------------------------------------------

desc_set() {
	echo "$3" > "$DESCS/$1/$2"
}

desc_get() {
	cat "$DESCS/$1/$2"
}

desc_del() {
	[ ! -d "$DESCS/$1" ] || rmdir "$DESCS/$1"
}

desc_add() {
	local name=$1 attr
	need_configfs
	mkdir "$DESCS/$name"
	at_end desc_del "$name"
	shift
	for attr in "$@"; do
		desc_set "$name" "${attr%%=*}" "${attr#*=}"
	done
}

disk_on() {
	local name=$1 path=$2
	shift 2
	desc_add "$name" "path=$path" "$@"
	disk_add "$name"
}

# ---- plain devices --------------------------------------------------------

null_blk_del() {
	local dir=$CONFIGFS/nullb/$1
	[ ! -d "$dir" ] || rmdir "$dir"
}

BACKING_COUNT=0

back_null_blk() {
	local mib=$1 name dir attr
	shift
	need_configfs
	if [ ! -d /sys/module/null_blk ]; then
		modprobe -q null_blk nr_devices=0 ||
			skip "no null_blk in this kernel"
	fi
	name=vbsnull$((BACKING_COUNT++))
	dir=$CONFIGFS/nullb/$name
	mkdir "$dir"
	at_end null_blk_del "$name"
	for attr in "size=$mib" blocksize=512 memory_backed=1 discard=1 \
		"$@" power=1; do
		echo "${attr#*=}" > "$dir/${attr%%=*}"
	done
	# Older kernels have names of their own for them.
	BACKING=/dev/$name
	[ -d "/sys/block/$name" ] || BACKING=/dev/nullb$(cat "$dir/index")
	wait_for 60 [ -b "$BACKING" ]
}

back_loop() {
	local mib=$1
	shift
	need losetup
	need_module loop
	BACKING_FILE=$TMP/loop$((BACKING_COUNT++))
	truncate -s "${mib}M" "$BACKING_FILE"
	at_end rm -f "$BACKING_FILE"
	BACKING=$(losetup --find --show "$@" "$BACKING_FILE")
	at_end losetup -d "$BACKING"
}

make_readonly() {
	at_end blockdev --setrw "$1"
	blockdev --setro "$1"
}

back_brd() {
	[ ! -d /sys/module/brd ] || rmmod brd || skip "brd is in use"
	modprobe -q brd rd_nr=1 rd_size=$(($1 << 10)) ||
		skip "no brd in this kernel"
	at_end rmmod brd
	BACKING=/dev/ram0
	wait_for 60 [ -b $BACKING ]
}

# ---- file systems ---------------------------------------------------------

fs_del() {
	! mountpoint -q "$1" || umount "$1"
}

back_fs() {
	# shellcheck disable=SC2034 # for the test
	BACKING_DEV=$2
	BACKING_MNT=$TMP/fs$((BACKING_COUNT++))
	need "mkfs.$1"
	case $1 in
	ext*)
		"mkfs.$1" -q -F "$2"
		;;
	xfs)
		mkfs.xfs -q -f "$2"
		;;
	esac
	mkdir "$BACKING_MNT"
	at_end rmdir "$BACKING_MNT"
	mount "$2" "$BACKING_MNT" || skip "no $1 in this kernel"
	at_end fs_del "$BACKING_MNT"
}

back_file() {
	# XFS does not get smaller.
	back_loop "${3:-$(($2 + 320))}"
	back_fs "$1" "$BACKING"
	BACKING=$BACKING_MNT/disk
	truncate -s "${2}M" "$BACKING"
}

# ---- device mapper and LVM ------------------------------------------------

# Without udev, which a test machine need not have: the nodes are the tool's.
dm() {
	DM_DISABLE_UDEV=1 dmsetup "$@"
}

# A process that looks at new devices may have it open for a moment.
dm_del() {
	[ -b "/dev/mapper/$1" ] || return 0
	wait_for 60 dm remove "$1" 2> /dev/null || dm remove "$1"
}

dm_add() {
	need dmsetup
	need_module dm-mod
	dm create "$1" --table "$2"
	at_end dm_del "$1"
	BACKING=/dev/mapper/$1
	wait_for 60 [ -b "$BACKING" ]
}

dm_swap() {
	dm suspend --noflush --nolockfs "$1"
	dm load "$1" --table "$2"
	dm resume "$1"
}

# The tools see the one device and nothing else of the machine.
lvm_config() {
	mkdir -p "$TMP/lvm"
	cat > "$TMP/lvm/lvm.conf" <<-CONF
	devices {
		filter = [ "a|^$1\$|", "r|.*|" ]
		global_filter = [ "a|^$1\$|", "r|.*|" ]
		use_devicesfile = 0
		external_device_info_source = "none"
		obtain_device_list_from_udev = 0
	}
	activation {
		udev_sync = 0
		udev_rules = 0
		verify_udev_operations = 0
		monitoring = 0
	}
	backup {
		archive = 0
		backup_dir = "$TMP/lvm"
	}
	global {
		locking_dir = "$TMP/lvm"
		event_activation = 0
		use_lvmpolld = 0
	}
	CONF
	export LVM_SYSTEM_DIR=$TMP/lvm LVM_SUPPRESS_FD_WARNINGS=1
}

vg_del() {
	lvm vgremove -q -f "$1" > /dev/null
}

back_lvm() {
	local vg=vbsvg$((BACKING_COUNT++))
	need lvm
	need_module dm-mod
	back_loop $(($1 + 8))
	lvm_config "$BACKING"
	lvm pvcreate -q -ff -y "$BACKING" > /dev/null
	lvm vgcreate -q "$vg" "$BACKING" > /dev/null
	at_end vg_del "$vg"
	lvm lvcreate -q -y -Wn -L "${1}M" -n disk "$vg" > /dev/null
	BACKING=/dev/$vg/disk
	wait_for 60 [ -b "$BACKING" ]
}

# ---- from elsewhere -------------------------------------------------------

NVMET=$CONFIGFS/nvmet

nvme_target_del() {
	local nqn=$1 port=$2
	rm -f "$NVMET/ports/$port/subsystems/$nqn"
	rmdir "$NVMET/ports/$port"
	echo 0 > "$NVMET/subsystems/$nqn/namespaces/1/enable"
	rmdir "$NVMET/subsystems/$nqn/namespaces/1" "$NVMET/subsystems/$nqn"
}

# nvme_target NQN PORT DEVICE
nvme_target() {
	local sub=$NVMET/subsystems/$1 port=$NVMET/ports/$2
	mkdir "$sub" "$sub/namespaces/1" "$port"
	at_end nvme_target_del "$1" "$2"
	echo 1 > "$sub/attr_allow_any_host"
	echo "$3" > "$sub/namespaces/1/device_path"
	echo 1 > "$sub/namespaces/1/enable"
	echo tcp > "$port/addr_trtype"
	echo ipv4 > "$port/addr_adrfam"
	echo 127.0.0.1 > "$port/addr_traddr"
	echo "$2" > "$port/addr_trsvcid"
	ln -s "$sub" "$port/subsystems/"
}

__nvme_disk() {
	local d
	for d in /sys/block/nvme*; do
		[ "$(cat "$d/device/subsysnqn" 2> /dev/null)" = "$1" ] || continue
		BACKING=/dev/${d##*/}
		[ ! -b "$BACKING" ] || return 0
	done
	return 1
}

nvme_disconnect() {
	echo 1 > "/sys/class/nvme/nvme$1/delete_controller"
}

back_nvme() {
	local nqn=nqn.2014-08.org.nvmexpress:vbs$((BACKING_COUNT++)) port=4420
	local answer
	need_configfs
	need_module nvmet nvmet-tcp nvme-tcp
	if [ "${2:-}" = loop ]; then
		back_loop "$1"
	else
		back_null_blk "$1"
	fi
	NVME_BEHIND=$BACKING
	NVME_NQN=$nqn
	NVME_NS=$NVMET/subsystems/$nqn/namespaces/1
	ip link set lo up
	while [ -d "$NVMET/ports/$port" ]; do
		port=$((port + 1))
	done
	nvme_target "$nqn" "$port" "$BACKING"
	exec {NVME_FD}<> /dev/nvme-fabrics
	echo "transport=tcp,traddr=127.0.0.1,trsvcid=$port,nqn=$nqn,reconnect_delay=1,hostnqn=$nqn-host,hostid=$(cat /proc/sys/kernel/random/uuid)" >&"$NVME_FD"
	read -r answer <&"$NVME_FD"
	exec {NVME_FD}>&-
	NVME_PORT=$NVMET/ports/$port
	answer=${answer#*instance=}
	at_end nvme_disconnect "${answer%%,*}"
	wait_for 60 __nvme_disk "$nqn"
}

__nvme_has() {
	[ "$(blockdev --getsize64 "$BACKING")" -eq "$1" ]
}

# The target away from the network, and back
nvme_away() {
	rm "$NVME_PORT/subsystems/$NVME_NQN"
}

nvme_back() {
	ln -s "$NVMET/subsystems/$NVME_NQN" "$NVME_PORT/subsystems/"
}

# The target is told, and the host hears of it from the target.
nvme_grow() {
	truncate -s "${1}M" "$BACKING_FILE"
	losetup -c "$NVME_BEHIND"
	echo 1 > "$NVME_NS/revalidate_size"
	wait_for 60 __nvme_has $(($1 << 20))
}

__nbd_free() {
	local d
	for d in /sys/block/nbd*; do
		[ ! -e "$d/pid" ] || continue
		BACKING=/dev/${d##*/}
		return 0
	done
	return 1
}

__nbd_ready() {
	[ -e "/sys/block/${BACKING##*/}/pid" ] &&
		[ "$(blockdev --getsize64 "$BACKING")" -gt 0 ]
}

nbd_del() {
	qemu-nbd -d "$1" > /dev/null
}

back_nbd() {
	local mib=$1
	need qemu-nbd
	need_module nbd
	__nbd_free || skip "no free nbd device"
	BACKING_FILE=$TMP/nbd$((BACKING_COUNT++))
	truncate -s "${mib}M" "$BACKING_FILE"
	at_end rm -f "$BACKING_FILE"
	at_end nbd_del "$BACKING"
	nbd_serve
}

# As back_nbd has it, once more after nbd_kill
nbd_serve() {
	qemu-nbd --connect="$BACKING" --socket="$BACKING_FILE.socket" \
		--format=raw --discard=unmap --cache=writeback "$BACKING_FILE"
	wait_for 60 __nbd_ready
}

# nbd_kill SIGNAL: to the server
nbd_kill() {
	kill "-$1" "$(cat "/sys/block/${BACKING##*/}/pid")"
}

# ---- statistics -----------------------------------------------------------

vq_sum() {
	cat "$VDPA_BUS/devices/$1"/vq*/"$2" | awk '{ n += $1 } END { printf "%d\n", n }'
}

stat_field() {
	awk -v n="$2" '{ print $n }' "$VDPA_BUS/devices/$1/stat"
}
