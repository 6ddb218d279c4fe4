#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# build.sh KERNEL: build the modules of this checkout for 6.12, 7.3, debug, kcsan,
# uml, uml-debug, uml-faults or uml-gcov, in a copy of the tree, build/KERNEL, with the compiler
# that built that kernel. The selftests, which are the same for all, come from
# another copy, build/selftests. Does nothing if nothing has changed.

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

# state DIR WHAT: changes with every file, and with what it is built with.
state() {
	(
		cd "$1"
		xargs -0 stat -c '%n %s %y' <.files
		item_path root
		item_path ksft
		! built_here "$2" || item_path "$2"
		declare -f make_modules make_selftests build_in_root
	) | sha256sum
}

# Both run in the root.
# shellcheck disable=SC2317 # called by name
make_selftests() {
	make -C /vdpa-blk/selftests "TARGETS=vdpa_blk bench" \
		KSFT_DIR=/ksft/tools/testing/selftests
	gcc -O2 -Wall -Wextra -fPIC -shared -ftls-model=initial-exec \
		-o /vdpa-blk/selftests/vm/uml_irq.so \
		/vdpa-blk/selftests/vm/uml_irq.c
}

# The indexes of all modules, ours among them, are made here because depmod is
# slow in the VM.
# shellcheck disable=SC2317 # called by name
make_modules() {
	local kdir=$1 modules=$2 arch=$3 profile=$4 release index

	set -e
	release=$(basename "$modules")
	make -C /vdpa-blk "KDIR=$kdir" ${arch:+"ARCH=$arch"} \
		${profile:+"GCOV_PROFILE=$profile"} modules

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
	local what=$1 dir=$2 binds modules kdir arch="" profile=""
	local maker=make_modules

	binds="$dir:vdpa-blk
$(item_path ksft):ksft"
	if [ "$what" = selftests ]; then
		maker=make_selftests
	elif built_here "$what"; then
		binds+="
$(item_path "$(source_of "$what")"):ksrc
$(item_path "$what"):kbuild"
		modules=$(modules_of "$what")
		modules=/kbuild/installed/usr/lib/modules/$(basename "$modules")
		kdir=/kbuild
		[[ $what != uml* ]] || arch=um
		[ "$what" != uml-gcov ] || profile=y
	else
		modules=/lib/modules/$(kernel_release "$what")
		kdir=$modules/build
	fi
	in_root "$binds" bash -ec "$(declare -f $maker); $maker \"\$@\"" \
		$maker "${kdir:-}" "${modules:-}" "$arch" "$profile"
}

# modules_of KERNEL: of one that is built here
modules_of() {
	echo "$(item_path "$1")"/installed/usr/lib/modules/*
}

need_for_build() {
	need_pkgs rsync
	need root
	need ksft
	! built_here "$1" || need "$1"
}

# build_copy WHAT TITLE: the result is build/WHAT.
build_copy() {
	local what=$1 dir=$TOP/build/$1 now lock

	mkdir -p "$TOP/build"
	exec {lock}>"$TOP/build/.$what.lock"
	run_job flock "$lock"
	copy_tree "$dir"
	[ "$what" = selftests ] ||
		rsync -a "$TOP/build/selftests/selftests/" "$dir/selftests/"
	now=$(state "$dir" "$what")
	if [ "$(cat "$dir/.built" 2>/dev/null)" != "$now" ]; then
		rm -f "$dir/.built"
		step "build-$what" "$2" build_in_root "$what" "$dir"
		give_back "$dir"
		echo "$now" >"$dir/.built"
	fi
	exec {lock}>&-
}

build() {
	case " $KERNELS " in
	*" $1 "*) ;;
	*) die "unknown kernel $1; there are: $KERNELS" ;;
	esac
	need_for_build "$1"
	build_copy selftests "building the selftests"
	build_copy "$1" "building for $1"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	[ $# -eq 1 ] || die "usage: build.sh KERNEL, one of: $KERNELS"
	cleanup_on_exit
	build "$1"
	exit
fi
