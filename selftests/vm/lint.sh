#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lint.sh: what a machine can say about the sources, as KTAP. Warnings of the
# compiler and of sparse count as failures.

# shellcheck source-path=SCRIPTDIR source=build.sh
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"

cases=0
failures=0

# check 'name' COMMAND...: passes when the command is silent and succeeds.
check() {
	local name=$1 out status=0

	shift
	cases=$((cases + 1))
	out=$("$@" 2>&1) || status=$?
	if [ "$status" -eq 0 ] && [ -z "$out" ]; then
		echo "# ok $cases $name"
		return
	fi
	printf '%s\n' "$out" | tail -n 40 | sed 's/^/#   /'
	echo "# not ok $cases $name"
	failures=$((failures + 1))
}

# warnings KERNEL MAKE-ARG...: the lines that speak of our files.
warnings() {
	local kernel=$1 dir=$TOP/build/lint-$1 out status=0

	shift
	mkdir -p "$dir"
	copy_tree "$dir"
	# shellcheck disable=SC2016 # expanded in the root
	out=$(in_root "$dir:vdpa-blk" sh -ec '
		kdir=$1
		shift
		make -s -C "$kdir" M=/vdpa-blk clean
		make -s -C "$kdir" M=/vdpa-blk "$@" modules' warnings \
		"/lib/modules/$(kernel_release "$kernel")/build" "$@" 2>&1) ||
		status=$?
	if [ "$status" -ne 0 ]; then
		printf '%s\n' "$out"
		return "$status"
	fi
	grep -E '(warning|error):' <<<"$out" || true
}

checkpatch() {
	local src

	src=$(item_path src-7.3)
	(cd "$TOP" && list_files | grep -zE '\.[ch]$' |
		xargs -0 perl "$src/scripts/checkpatch.pl" --no-tree --strict \
			--terse --quiet --no-summary --show-types -f |
		grep -vEf <(grep -vE '^(#|$)' "$VM_DIR/checkpatch-known")) || true
}

# Shell files are known by their first line. Not SC2317, "unreachable": functions
# that are called by a name in a variable.
shell_check() {
	(cd "$TOP" && list_files | xargs -0 grep -lE '^(#!/bin/(ba)?sh|# shellcheck shell=)' |
		xargs shellcheck -x -e SC2317)
}

# Each source file says its licence in the first or second line.
spdx() {
	local file

	(cd "$TOP" && list_files | grep -zE '(\.[chS]|\.sh|Makefile|Kbuild[^/]*|\.conf)$' |
		while IFS= read -r -d '' file; do
			head -n 2 "$file" |
				grep -q 'SPDX-License-Identifier: GPL-2.0-only' ||
				echo "$file: no SPDX line"
		done)
}

main_lint() {
	cleanup_on_exit
	need_pkgs perl shellcheck
	need root
	need src-7.3
	need_pkgs rsync
	echo "TAP version 13"
	check "W=1 C=2 is silent on 6.12" \
		warnings 6.12 W=1 C=2 CF=-D__CHECK_ENDIAN__
	check "W=1 is silent on 7.3" warnings 7.3 W=1
	check "checkpatch --strict" checkpatch
	check "shellcheck" shell_check
	check "SPDX lines" spdx
	if [ "$failures" -ne 0 ]; then
		echo "not ok 1 lint"
		exit 1
	fi
	echo "ok 1 lint"
}

main_lint
