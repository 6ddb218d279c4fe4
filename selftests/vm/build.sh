#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# build.sh KERNEL: build the modules and the selftests of this checkout for
# 6.12, 7.3, uml, uml-debug or uml-faults, in a copy of the tree, build/KERNEL,
# with the compiler that built that kernel. Does nothing if nothing has changed.

# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# The tree as git sees it, files not yet added included; without git (a source
# package), all but the builds.
list_files() {
	if git -C "$TOP" rev-parse --git-dir >/dev/null 2>&1; then
		# -c also names files that are deleted but not yet committed.
		# shellcheck disable=SC2016 # expanded by that shell
		git -C "$TOP" ls-files -z -co --exclude-standard |
			(cd "$TOP" && xargs -0 -r sh -c '
				for f; do
					[ ! -e "$f" ] || printf "%s\0" "$f"
				done' list)
	else
		(cd "$TOP" && find . -name build -prune -o -type f -printf '%P\0')
	fi
}

# copy_tree DIR: rsync takes the times along, so that make sees what changed.
copy_tree() {
	local dir=$1

	mkdir -p "$dir"
	list_files | sort -z >"$dir/.files.new"
	if [ -f "$dir/.files" ]; then
		(cd "$dir" && comm -z -23 .files .files.new | xargs -0 -r rm -f)
	fi
	rsync -a --from0 --files-from="$dir/.files.new" "$TOP/" "$dir/"
	mv "$dir/.files.new" "$dir/.files"
}

# state DIR KERNEL: changes with every file and with the kernel.
state() {
	(
		cd "$1"
		xargs -0 stat -c '%n %s %y' <.files
		item_path root
		item_path ksft
		case $2 in
		uml*) item_path "$2" ;;
		esac
		declare -f make_all build_in_root
	) | sha256sum
}

# Runs in the root. The indexes of all modules, ours among them, are made here
# because depmod is slow in the VM.
# shellcheck disable=SC2317 # called by name
make_all() {
	local kdir=$1 modules=$2 arch=$3 release index

	set -e
	release=$(basename "$modules")
	make -C /vdpa-blk "KDIR=$kdir" ${arch:+"ARCH=$arch"} modules
	make -C /vdpa-blk/selftests "TARGETS=vdpa_blk bench" \
		KSFT_DIR=/ksft/tools/testing/selftests

	[ "$arch" != um ] ||
		gcc -O2 -Wall -Wextra -fPIC -shared -ftls-model=initial-exec \
			-o /vdpa-blk/selftests/vm/uml_irq.so \
			/vdpa-blk/selftests/vm/uml_irq.c

	index=/tmp/index/lib/modules/$release
	mkdir -p "$index/kernel" "$index/updates"
	mount --bind "$modules/kernel" "$index/kernel"
	cp "$modules"/modules.{order,builtin,builtin.modinfo} "$index/"
	find /vdpa-blk/drivers -name '*.ko' -exec cp -t "$index/updates" {} +
	depmod -b /tmp/index "$release"
	rm -rf /vdpa-blk/.modules
	mkdir /vdpa-blk/.modules
	cp "$index"/modules.* /vdpa-blk/.modules/
}

build_in_root() {
	local kernel=$1 dir=$2 binds modules kdir arch=

	binds="$dir:vdpa-blk
$(item_path ksft):ksft"
	case $kernel in
	uml*)
		binds+="
$(item_path src-7.3):ksrc
$(item_path "$kernel"):kbuild"
		modules=$(modules_of_uml "$kernel")
		modules=/kbuild/installed/usr/lib/modules/$(basename "$modules")
		kdir=/kbuild
		arch=um
		;;
	*)
		modules=/lib/modules/$(kernel_release "$kernel")
		kdir=$modules/build
		;;
	esac
	in_root "$binds" bash -c "$(declare -f make_all); make_all \"\$@\"" \
		make_all "$kdir" "$modules" "$arch"
}

modules_of_uml() {
	echo "$(item_path "$1")"/installed/usr/lib/modules/*
}

need_for_build() {
	need_pkgs rsync
	need root
	need ksft
	case $1 in
	uml*) need "$1" ;;
	esac
}

# build KERNEL: the result is build/KERNEL.
build() {
	local kernel=$1 dir=$TOP/build/$1 now

	case " $KERNELS " in
	*" $kernel "*) ;;
	*) die "unknown kernel $kernel; there are: $KERNELS" ;;
	esac
	need_for_build "$kernel"
	mkdir -p "$TOP/build"
	exec {build_lock}>"$TOP/build/.$kernel.lock"
	run_job flock "$build_lock"
	copy_tree "$dir"
	now=$(state "$dir" "$kernel")
	if [ "$(cat "$dir/.built" 2>/dev/null)" != "$now" ]; then
		rm -f "$dir/.built"
		step "build-$kernel" "building for $kernel" \
			build_in_root "$kernel" "$dir"
		give_back "$dir"
		echo "$now" >"$dir/.built"
	fi
	exec {build_lock}>&-
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	[ $# -eq 1 ] || die "usage: build.sh KERNEL, one of: $KERNELS"
	cleanup_on_exit
	build "$1"
	exit
fi
