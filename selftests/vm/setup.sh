#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# setup.sh WHAT...: make the parts of the test VMs, unless they are cached.
#
#   root        trixie root folder with the 6.12 and 7.3 kernels and tools
#   src-6.12    kernel source trees
#   src-7.3
#   ksft        kselftest support files
#   uml         user-mode Linux 7.3
#   uml-debug   the same with KASAN, lockdep and friends
#   uml-faults  the same with fault injection and a leak detector
#   uml-gcov    the same as uml-faults, and counts what is executed
#   debug       6.12 for QEMU with all of these but the counts
#   kcsan       6.12 for QEMU that looks for data races
#   guest       kernel and initramfs of the nested guest
#   initrd      what finds the root disk, for the 6.12 and 7.3 kernels
#   image       the root as a disk
#   all         all of these
#
# setup.sh --path WHAT prints where a part is. vm.sh calls this by itself.
# VDPA_BLK_MIRROR overrides the Debian archive this machine's apt uses.

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SUITE=trixie
PARTS="root src-6.12 src-7.3 ksft uml uml-debug uml-faults uml-gcov debug kcsan"
PARTS+=" guest initrd image"

packages() {
	sed 's/#.*//' "$VM_DIR/packages" | xargs -n1
}

# Each part has item_key (what it depends on), item_needs (parts and packages
# of this machine), item_what (a progress line) and make_PART FOLDER.
item_key() {
	case $1 in
	root)
		key_of "$(packages)" "${VDPA_BLK_MIRROR:-}" \
			"$(declare -f make_root)" "$VM_DIR/root-hook.sh"
		;;
	src-*)
		key_of "$(source_version "$1")" "$(declare -f make_src)"
		;;
	ksft)
		key_of "$(item_key src-7.3)" "$(declare -f make_ksft)"
		;;
	uml* | guest)
		kernel_key "$1"
		;;
	debug | kcsan)
		key_of "$(kernel_key "$1")" "$(boot_functions)"
		;;
	initrd)
		key_of "$(item_key root)" "$VM_DIR/guest-init" \
			"$(declare -f make_initrd)" "$(boot_functions)"
		;;
	image)
		key_of "$(item_key root)" "$(declare -f make_image)"
		;;
	*)
		die "unknown part $1; there are: $PARTS"
		;;
	esac
}

kernel_key() {
	# shellcheck disable=SC2046 # one word for each file
	key_of "$(item_key "$(source_of "$1")")" "$VM_DIR/kernel.sh" \
		$(fragments "$1")
}

boot_functions() {
	declare -f make_boot pack_busybox kernel_modules
}

item_path() {
	printf '%s/%s-%s\n' "$CACHE" "$1" "$(item_key "$1")"
}

item_needs() {
	case $1 in
	root) echo mmdebstrap debian-archive-keyring ;;
	src-*) echo root xz-utils ;;
	ksft) echo src-7.3 ;;
	debug | kcsan) echo root src-6.12 cpio kmod ;;
	uml* | guest) echo root "$(source_of "$1")" ;;
	initrd) echo root cpio kmod ;;
	image) echo root e2fsprogs ;;
	esac
}

item_what() {
	case $1 in
	root) echo "root file system ($SUITE, about 2 min)" ;;
	src-*) echo "kernel source ${1#src-} (about 15 s)" ;;
	ksft) echo "kselftest support files (1 s)" ;;
	uml) echo "user-mode Linux kernel (about 6 min)" ;;
	uml-debug) echo "user-mode Linux kernel with sanitizers (about 10 min)" ;;
	uml-faults) echo "user-mode Linux kernel without memory (about 7 min)" ;;
	uml-gcov) echo "user-mode Linux kernel that counts (about 7 min)" ;;
	debug) echo "6.12 kernel with sanitizers (about 10 min)" ;;
	kcsan) echo "6.12 kernel that looks for data races (about 6 min)" ;;
	guest) echo "kernel of the nested guest (about 4 min)" ;;
	initrd) echo "initial RAM disks (about 5 s)" ;;
	image) echo "disk image of the root (about 15 s)" ;;
	esac
}

fragments() {
	local names

	case $1 in
	guest) names="guest" ;;
	uml) names="vm uml" ;;
	uml-debug) names="vm uml sanitizers" ;;
	uml-faults) names="vm uml faults checks" ;;
	uml-gcov) names="vm uml faults checks gcov" ;;
	debug) names="vm x86 sanitizers faults" ;;
	kcsan) names="vm x86 checks kcsan" ;;
	esac
	# shellcheck disable=SC2086 # a list
	printf "$VM_DIR/%s.config\n" $names
}

# source_of KERNEL: of one that is built here
source_of() {
	case $1 in
	uml*) echo src-7.3 ;;
	*) echo src-6.12 ;;
	esac
}

# The newest source the root knows; looked up once, when the root was made.
source_version() {
	sed -n "s/^$1 //p" "$(item_path root)/etc/vdpa-blk-sources"
}

# --- root ------------------------------------------------------------------

# shellcheck disable=SC2016 # apt expands these
# uri_of LABEL: the address this machine's own apt uses for the archive. The
# release may carry a suffix (updates, security), which does not matter here.
uri_of() {
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
		sed -n "s/^Debian|$1|//p" | head -n 1
}

root_sources() {
	local main security

	main=${VDPA_BLK_MIRROR:-$(uri_of Debian)}
	security=$(uri_of Debian-Security)
	[ -n "$main" ] ||
		die "no Debian archive in this machine's apt lists; set VDPA_BLK_MIRROR"
	echo "deb $main $SUITE main"
	echo "deb $main $SUITE-updates main"
	echo "deb $main $SUITE-backports main"
	[ -z "$security" ] || echo "deb $security $SUITE-security main"
}

make_root() {
	local proxy

	proxy=$(apt-config dump --format '%v' Acquire::http::Proxy)
	# No initramfs: initrd makes a small one with what this VM needs. The
	# package lists stay, make_src downloads by them.
	root_sources | as_root env INITRD=No ${proxy:+http_proxy="$proxy"} \
		mmdebstrap --mode=root --variant=apt --format=directory \
		--include="$(packages | paste -sd,)" \
		--aptopt='APT::Install-Recommends "false"' \
		--skip=cleanup/apt/lists --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/etc/kernel/postinst.d/initramfs-tools' \
		--customize-hook="$VM_DIR/root-hook.sh" \
		"$SUITE" "$1" -
}

# --- sources ---------------------------------------------------------------

make_src() {
	local out=$1 name=$2 root version pkg

	root=$(item_path root)
	version=$(source_version "$name")
	pkg=linux-source-${name#src-}
	mkdir "$out/download"
	# With the lists of the root, which this machine's apt does not have.
	(
		cd "$out/download"
		apt-get -o Dir="$root" -o Dir::Cache="$out/download/cache" \
			-o Dir::State::status="$root/var/lib/dpkg/status" \
			-o APT::Sandbox::User= -o Debug::NoLocking=1 \
			download "$pkg=$version"
	)
	# One folder is a third of the whole, all of it registers of graphics
	# cards.
	dpkg-deb --fsys-tarfile "$out"/download/*.deb |
		tar -xO "./usr/src/$pkg.tar.xz" | xz -dc -T0 |
		tar -x --no-same-owner --strip-components=1 -C "$out" \
			--exclude='*/drivers/gpu/drm/amd/include'
	rm -rf "$out/download"
}

# lib.mk finds its neighbours by their place in a kernel tree.
make_ksft() {
	local out=$1/tools/testing/selftests from

	from=$(item_path src-7.3)/tools/testing/selftests
	mkdir -p "$out"
	cp -a "$from"/lib.mk "$from"/*.h "$from"/*.sh "$from"/kselftest "$out"
}

# --- kernels ---------------------------------------------------------------

# build_kernel OUT NAME ARCH TARGET
build_kernel() {
	local out=$1 name=$2 arch=$3 target=$4 files

	mapfile -t files < <(fragments "$name")
	in_root "$(item_path "$(source_of "$name")"):ksrc
$out:kbuild
$VM_DIR:vm" sh -c 'cd /kbuild && exec /vm/kernel.sh "$@"' kernel.sh \
		"$arch" "$target" "${files[@]/#"$VM_DIR"//vm}"
}

make_uml() {
	build_kernel "$1" "$2" um linux
}

# For QEMU, with an initial RAM disk for its root
make_x86() {
	local out=$1 modules

	build_kernel "$out" "$2" x86_64 bzImage
	modules=$(echo "$out"/installed/usr/lib/modules/*)
	make_boot "$out/boot" "$out/installed/usr" "${modules##*/}"
}

make_guest() {
	local out=$1

	mkdir "$out/build"
	build_kernel "$out/build" guest x86_64 bzImage
	as_root cp "$out/build/arch/x86/boot/bzImage" "$out/bzImage"
	as_root rm -rf "$out/build"
}

# --- boot files ------------------------------------------------------------

# pack_busybox FOLDER: the start of every small root here.
pack_busybox() {
	mkdir -p "$1"/{bin,dev,proc,sys,tmp}
	cp "$(item_path root)/bin/busybox" "$1/bin/"
}

# What lies between the kernel and its root disk, in the order to load.
kernel_modules() {
	local module

	for module in virtio_pci virtio_blk ext4 9pnet_virtio 9p; do
		modprobe -d "$1" -S "$2" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

pack() {
	(cd "$1" && find . -print0 |
		cpio --quiet --null -o -H newc -R +0:+0) >"$2"
}

# make_boot OUT ROOT RELEASE: OUT.cpio finds the root disk, with the modules that
# ROOT has for that kernel.
make_boot() {
	local out=$1 module

	pack_busybox "$out"
	mkdir "$out/modules"
	: >"$out/modules/order"
	while read -r module; do
		cp "$module" "$out/modules/"
		basename "$module" >>"$out/modules/order"
	done < <(kernel_modules "$2" "$3")
	pack "$out" "$out.cpio"
}

make_initrd() {
	local out=$1 root kernel

	root=$(item_path root)
	for kernel in 6.12 7.3; do
		make_boot "$out/$kernel" "$root" "$(kernel_release "$kernel")"
	done
	pack_busybox "$out/guest"
	cp "$VM_DIR/guest-init" "$out/guest/init"
	pack "$out/guest" "$out/guest.cpio"
	gzip -1 "$out/guest.cpio"
}

# kernel_release 6.12: the release of that Debian kernel in the root.
kernel_release() {
	basename "$(echo "$(item_path root)/lib/modules/$1".*)"
}

make_image() {
	as_root mke2fs -q -t ext4 -O '^has_journal' -E lazy_itable_init=1 \
		-L vmroot -d "$(item_path root)" "$1/root.img" 4G
}

# --- the cache -------------------------------------------------------------

make_item() {
	local name=$1 out=$2 maker=make_$1

	mkdir -p "$out"
	case $name in
	src-*) maker=make_src ;;
	uml-*) maker=make_uml ;;
	debug | kcsan) maker=make_x86 ;;
	esac
	"$maker" "$out" "$name"
	# The root keeps its owners, all else is the user's.
	[ "$name" = root ] || give_back "$out"
}

# Older versions stay for other checkouts, but not for ever.
prune() {
	local name=$1 old

	for old in "$CACHE/$name"-????????????; do
		if [ -n "$(find "$old" -maxdepth 0 -mtime +30 2>/dev/null)" ]; then
			as_root rm -rf "$old"
		fi
	done
}

build_item() {
	local name=$1 path=$2 tmp

	# One at a time, by the lock: what is there is of a run that was killed.
	tmp=$CACHE/.tmp-$name
	as_root rm -rf "$tmp"
	scratch+=("$tmp")
	step "$name" "$(item_what "$name")" make_item "$name" "$tmp"
	as_root touch -c "$tmp"
	mv -T "$tmp" "$path"
	prune "$name"
}

# need PART: have it in the cache. One build at a time for each part, however
# many checkouts want it.
need() {
	local name=$1 path dep

	for dep in $(item_needs "$name"); do
		case " $PARTS " in
		*" $dep "*) need "$dep" ;;
		*) [ -d "$(item_path "$name")" ] || need_pkgs "$dep" ;;
		esac
	done
	path=$(item_path "$name")
	# The time of last use, for prune().
	touch -c "$path" 2>/dev/null || true
	[ -d "$path" ] && return
	mkdir -p "$CACHE"
	exec {lock}>"$CACHE/$name.lock"
	if ! flock -n "$lock"; then
		log "waiting for another build of $name ..."
		run_job flock "$lock"
	fi
	[ -d "$path" ] || build_item "$name" "$path"
	exec {lock}>&-
}

main() {
	local part

	[ $# -gt 0 ] || die "usage: setup.sh [--path] WHAT..., one of: all $PARTS"
	cleanup_on_exit
	if [ "$1" = --path ]; then
		need "$2"
		item_path "$2"
		return
	fi
	# shellcheck disable=SC2086 # a list of words
	[ "$1" != all ] || set -- $PARTS
	for part in "$@"; do
		need "$part"
	done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	main "$@"
	exit
fi
