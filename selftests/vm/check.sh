#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check.sh [STAGE...]: run the tests, count the cases, end with the totals
# "N passed, N failed, N skipped". Without arguments every stage. The whole
# output of each stage is in build/check/STAGE.log.
#
#   lint        sparse and compiler warnings, checkpatch, shellcheck
#   host        ring and request code on this machine, with sanitizers
#   uml         the kselftests in user-mode Linux
#   uml-debug   the same with KASAN and lockdep
#   6.12, 7.3   the kselftests on Debian's kernels, in QEMU

# shellcheck source-path=SCRIPTDIR source=build.sh
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"

STAGES="lint host uml uml-debug 6.12 7.3"
OUT=$TOP/build/check

# Seconds after which a stage has hung.
limit_of() {
	case $1 in
	uml) echo 300 ;;
	uml-debug) echo 600 ;;
	*) echo 2400 ;;
	esac
}

run_stage() {
	case $1 in
	lint)
		"$VM_DIR/lint.sh"
		;;
	host)
		need ksft
		need_pkgs gcc libc6-dev make
		make -s -C "$TOP/selftests/host" run_tests \
			"KSFT_DIR=$(item_path ksft)/tools/testing/selftests"
		;;
	*)
		VM_KERNEL=$1 VM_TIMEOUT=$(limit_of "$1") \
			VM_RESULTS=$OUT/$1.results VM_CONSOLE=$OUT/$1.console \
			"$VM_DIR/vm.sh" \
			"make -s -C /vdpa-blk/selftests TARGETS=vdpa_blk run_tests"
		;;
	esac
}

# Counts KTAP: the cases inside of a program are what counts ("# ok 1 name");
# a program that failed without saying where is one failed case, one that was
# skipped as a whole one skipped case. Writes the totals to $totals.
# shellcheck disable=SC2016 # awk
count='
function program_end(failed, skipped, name) {
	if (failed && !f)
		f = 1
	else if (!p && !f && !s)
		if (skipped) s = 1; else p = 1
	printf "%-9s %-28s %3d passed", stage, name, p
	if (f) printf ", %d FAILED", f
	if (s) printf ", %d skipped", s
	printf "\n"
	passed += p; failed_all += f; skipped_all += s
	p = f = s = 0
}
{ sub(/\r$/, "") }
/^# +not ok [0-9]+/ { f++; print stage ": " substr($0, 3); next }
/^# +ok [0-9]+.*# *SKIP/ { s++; print stage ": " substr($0, 3); next }
/^# +ok [0-9]+/ { p++; next }
/^(not )?ok [0-9]+ / {
	name = $0
	sub(/^(not )?ok [0-9]+ -? *(selftests: )?/, "", name)
	sub(/ *#.*/, "", name)
	program_end($0 ~ /^not ok/, $0 ~ /# *SKIP/, name)
}
END {
	if (p || f || s)
		program_end(1, 0, "(unfinished program)")
	print passed + 0, failed_all + 0, skipped_all + 0 > totals
}'

# stage NAME: adds to the totals of all stages.
stage() {
	local name=$1 log=$OUT/$1.log totals=$OUT/$1.totals start=$SECONDS
	local status=0 p f s

	log "$name ..."
	rm -f "$totals"
	(
		set -o pipefail
		run_stage "$name" | tee "$log" |
			awk -v stage="$name" -v totals="$totals" "$count"
	) || status=$?
	read -r p f s <"$totals"
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "$name: ended with status $status"
		f=1
	elif [ $((p + f + s)) -eq 0 ]; then
		echo "$name: no test was run"
		f=1
	fi
	[ "$f" -eq 0 ] || echo "$name: the whole output is in $log"
	echo "$name: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
}

main_check() {
	local name

	cleanup_on_exit
	mkdir -p "$OUT"
	for name in "$@"; do
		case " $STAGES " in
		*" $name "*) ;;
		*) die "unknown stage $name; there are: $STAGES" ;;
		esac
	done
	passed=0 failed=0 skipped=0
	for name in "$@"; do
		stage "$name"
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}

# shellcheck disable=SC2086 # a list
[ $# -gt 0 ] || set -- $STAGES
main_check "$@"
