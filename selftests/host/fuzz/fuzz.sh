#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fuzz.sh: fuzz ring and request code on this machine, for FUZZ_TIME seconds
# (default 3600) altogether, and look how much of it was reached. Writes KTAP.
#
# In build/fuzz: the programs, their output, in corpus/ inputs from which the
# next run goes on, in found/ those that failed and are tried first from then
# on.

# shellcheck source-path=SCRIPTDIR source=../../vm/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../vm/common.sh"

FUZZ_DIR=$TOP/selftests/host/fuzz
DRIVER=$TOP/drivers/vdpa/blk_sim
OUT=$TOP/build/fuzz
TARGETS="split packed request"
# Percent of the lines of each file that have to be reached.
COVERAGE=95
# The counts go nowhere, unless LLVM_PROFILE_FILE says where.
COUNT=(-fprofile-instr-generate=/dev/null -fcoverage-mapping)
SOURCES="ring.c ring.h ring-split.c ring-split.h ring-packed.c ring-packed.h"
SOURCES+=" request.c request.h"

cases=0
failures=0

# result STATUS NAME
result() {
	cases=$((cases + 1))
	if [ "$1" -eq 0 ]; then
		echo "# ok $cases $2"
	else
		echo "# not ok $cases $2"
		failures=$((failures + 1))
	fi
}

# compile NAME SOURCE [OPTION...]
compile() {
	local name=$1 source=$2

	shift 2
	clang -std=gnu11 -fno-strict-aliasing -Wall -Wextra -O2 -g \
		-fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=undefined \
		-I "$FUZZ_DIR/.." -I "$FUZZ_DIR/../stubs" -I "$DRIVER" \
		"$@" -c -o "$OUT/$name.o" "$source"
}

build_targets() {
	local name target

	for name in ring ring-split ring-packed request; do
		compile "$name" "$DRIVER/$name.c" "${COUNT[@]}"
	done
	# These have the inline functions.
	compile device "$FUZZ_DIR/device.c" "${COUNT[@]}"
	compile fuzz_request "$FUZZ_DIR/fuzz_request.c" "${COUNT[@]}"
	compile fuzz_split "$FUZZ_DIR/fuzz_ring.c" -DFUZZ_PACKED=0
	compile fuzz_packed "$FUZZ_DIR/fuzz_ring.c" -DFUZZ_PACKED=1
	compile guest "$FUZZ_DIR/../guest.c"
	compile model "$FUZZ_DIR/../model.c"
	for target in $TARGETS; do
		clang -fsanitize=fuzzer,address,undefined \
			-fprofile-instr-generate -o "$OUT/$target" \
			"$OUT"/{"fuzz_$target",device,model,guest}.o \
			"$OUT"/{ring,ring-split,ring-packed,request}.o
	done
}

# unpack_seeds: one file for each line of the list.
unpack_seeds() {
	local target name bytes

	rm -rf "$OUT/seeds"
	while read -r target name bytes; do
		case $target in
		'' | '#'*) continue ;;
		esac
		bytes=${bytes//[ |]/}
		if [[ ! $bytes =~ ^([0-9a-f]{2})+$ ]]; then
			die "seeds: $target $name: not bytes in hexadecimal"
		fi
		mkdir -p "$OUT/seeds/$target"
		# shellcheck disable=SC2001 # not one character for another
		printf '%b' "$(sed 's/../\\x&/g' <<<"$bytes")" \
			>"$OUT/seeds/$target/$name"
	done <"$FUZZ_DIR/seeds"
}

run_target() {
	local target=$1 seconds=$2
	local corpus=$OUT/corpus/$target found=$OUT/found/$target

	mkdir -p "$corpus" "$found"
	LLVM_PROFILE_FILE=$OUT/$target.profraw \
		"$OUT/$target" "-max_total_time=$seconds" -max_len=512 \
		-timeout=10 -print_final_stats=1 "-artifact_prefix=$found/" \
		"$corpus" "$found" "$OUT/seeds/$target"
}

# What libFuzzer said, with a way to see it again.
show_failure() {
	local target=$1 log=$2 file

	grep -vE '^(#[0-9]+|INFO:|MS:|0x|\\|stat::)' "$log" | tail -n 40 |
		sed 's/^/#   /'
	file=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	if [ -n "$file" ]; then
		echo "#   found: $file"
		echo "#   repeat with: $OUT/$target $file"
	fi
}

fuzz_target() {
	local target=$1 seconds=$2 log=$OUT/$1.log executions

	rm -f "$OUT/$target.profraw"
	log "fuzzing $target for $seconds s ..."
	run_job run_target "$target" "$seconds" >"$log" 2>&1
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	echo "#   $target: ${executions:-?} executions," \
		"$(find "$OUT/corpus/$target" -type f | wc -l) files in the corpus"
	[ "$job_status" -eq 0 ] || show_failure "$target" "$log"
	result "$job_status" "fuzz_$target"
}

# llvm_cov COMMAND [OPTION...]: about all that the three programs did.
llvm_cov() {
	local command=$1

	shift
	# shellcheck disable=SC2086 # a list
	(cd "$DRIVER" && llvm-cov "$command" "$OUT/split" \
		-object "$OUT/packed" -object "$OUT/request" \
		"-instr-profile=$OUT/profdata" "$@" $SOURCES)
}

# Lines of each file, how many were reached, and FIRST-LAST for those that were
# not. From single lines, for the sums count some of an inline function twice.
line_counts() {
	llvm_cov export -format=lcov | awk -F '[:,]' '
	function end_gap() {
		if (first)
			missed = missed " " first "-" last
		first = 0
	}
	/^SF:/ { file = $2; sub(/.*\//, "", file); lines = hit = 0; missed = "" }
	/^DA:/ {
		lines++
		if ($3 > 0) {
			hit++
			end_gap()
		} else {
			first = first ? first : $2
			last = $2
		}
	}
	/^end_of_record/ { end_gap(); print file, lines, hit missed }'
}

check_coverage() {
	local file lines hit missed name counts

	if [ "$failures" -ne 0 ]; then
		for name in $SOURCES; do
			result 0 "lines_of_$name # SKIP a fuzzer has failed"
		done
		return
	fi
	llvm-profdata merge -o "$OUT/profdata" "$OUT"/*.profraw
	llvm_cov report >"$OUT/coverage"
	counts=$(line_counts)
	for name in $SOURCES; do
		read -r file lines hit missed < <(grep "^$name " <<<"$counts" ||
			echo "$name 1 0")
		echo "#   $file: $hit of $lines lines${missed:+, not $missed}"
		result $((100 * hit < COVERAGE * lines)) "lines_of_$name"
	done
}

main_fuzz() {
	local seconds=${FUZZ_TIME:-3600} target

	if [[ ! $seconds =~ ^[0-9]+$ ]] || [ "$seconds" -lt 3 ]; then
		die "FUZZ_TIME=$seconds: not a number of seconds, 3 at least"
	fi
	cleanup_on_exit
	need_pkgs clang llvm libclang-rt-dev
	mkdir -p "$OUT"
	unpack_seeds
	build_targets
	for target in $TARGETS; do
		fuzz_target "$target" $((seconds / 3))
	done
	check_coverage
	if [ "$failures" -ne 0 ]; then
		echo "not ok 1 fuzz"
		exit 1
	fi
	echo "ok 1 fuzz"
}

main_fuzz
