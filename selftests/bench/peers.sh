#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# peers.sh KERNEL: the vDPA parents of the kernel that Debian does not build,
# to compare ours with: vringh, vdpa_sim, vdpa_sim_blk and vp_vdpa, for 6.12 or
# 7.3, from the sources of that kernel. Prints the folder they are in; builds
# nothing if they are there.

# shellcheck source-path=SCRIPTDIR source=../vm/build.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/build.sh"

PEER_SOURCES="drivers/vhost/vringh.c drivers/vdpa/vdpa_sim/vdpa_sim.c
	drivers/vdpa/vdpa_sim/vdpa_sim.h drivers/vdpa/vdpa_sim/vdpa_sim_blk.c
	drivers/vdpa/virtio_pci/vp_vdpa.c"

peers_path() {
	echo "$TOP/build/peers-$1-$(key_of "$(item_key root)" \
		"$(item_key "src-$1")" "$(declare -f make_peers)")"
}

# make_peers KERNEL FOLDER
make_peers() {
	local kernel=$1 out=$2 src file

	src=$(item_path "src-$kernel")
	mkdir -p "$out"
	for file in $PEER_SOURCES; do
		cp "$src/$file" "$out/"
	done
	echo "obj-m := vringh.o vdpa_sim.o vdpa_sim_blk.o vp_vdpa.o" \
		>"$out/Kbuild"
	in_root "$out:vdpa-blk" make \
		-C "/lib/modules/$(kernel_release "$kernel")/build" \
		M=/vdpa-blk modules
	give_back "$out"
	find "$out" -type f ! -name '*.ko' -delete
}

# need_peers KERNEL: have them, in $(peers_path KERNEL).
need_peers() {
	local out tmp

	need root
	need "src-$1"
	out=$(peers_path "$1")
	mkdir -p "$TOP/build"
	exec {peers_lock}>"$TOP/build/.peers-$1.lock"
	run_job flock "$peers_lock"
	if [ ! -d "$out" ]; then
		tmp=$TOP/build/.tmp-peers-$1
		as_root rm -rf "$tmp" "$TOP/build/peers-$1"-*
		scratch+=("$tmp")
		step "peers-$1" "building the kernel's own vDPA parents for $1" \
			make_peers "$1" "$tmp"
		mv -T "$tmp" "$out"
	fi
	exec {peers_lock}>&-
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	case ${1:-} in
	6.12 | 7.3) ;;
	*) die "usage: peers.sh 6.12|7.3" ;;
	esac
	cleanup_on_exit
	need_peers "$1"
	peers_path "$1"
	exit
fi
