#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# insn.sh: instructions of the kernel per request, ours and others', counted by
# a plugin of QEMU. Exact where time is not: an emulated CPU says nothing about
# seconds, but executes the same instructions on any machine. Writes
# build/bench/insn.json and profiles by function.
#
#   insn.sh            all contenders, ROUNDS=3, in the order of SEED=
#   insn.sh --gate     a short run, as KTAP: fails when a case takes over 3 %
#                      more than recorded in insn-recorded
#   insn.sh --record   the short run, written to insn-recorded
#
# INSN_QEMU_ARGS= are more arguments for QEMU.

# shellcheck source-path=SCRIPTDIR source=peers.sh
. "$(dirname "${BASH_SOURCE[0]}")/peers.sh"

BENCH=$TOP/selftests/bench
OUT=$TOP/build/bench
RECORDED=$BENCH/insn-recorded
ROUNDS=${ROUNDS:-3}
SEED=${SEED:-$RANDOM}

GATE_CASES="ours-ram/virtio-vdpa/read/4096/1 ours-ram/virtio-vdpa/read/4096/32
	ours-ram/virtio-vdpa/read/512/1 ours-ram/virtio-vdpa/read/512/32
	ours-ram/vhost-vdpa/read/4096/32"

all_cases() {
	local rw bs disk

	for rw in read write; do
		for bs in 512 4096; do
			for disk in ours-ram/virtio-vdpa vdpa_sim_blk/virtio-vdpa \
				ours-null_blk/virtio-vdpa null_blk/direct brd/direct; do
				echo "$disk/$rw/$bs/1" "$disk/$rw/$bs/32"
			done
			for disk in ours-ram vdpa_sim_blk ours-null_blk; do
				echo "$disk/vhost-vdpa/$rw/$bs/32"
			done
		done
	done
}

# With these features the kernel copies and clears with "rep movsb" and
# "rep stosb", and an emulated CPU counts bytes. Which of them QEMU can have
# depends on its version.
cpu() {
	local known flag cpu=max

	known=$(qemu-system-x86_64 -cpu help)
	for flag in erms fsrm fsrs fzrm fsrc; do
		! grep -qw -- "$flag" <<<"$known" || cpu+=,-$flag
	done
	echo "$cpu"
}

make_plugin() {
	gcc -Wall -Wextra -Wno-unused-parameter -O2 -shared -fPIC \
		-o "$OUT/insn_plugin.so" "$BENCH/insn_plugin.c"
}

# count PEERS ROUNDS CASE...: leaves lines of words, one for each window, in
# insn.lines, and profiles beside it. PEERS is a folder or nothing.
count() {
	local peers=$1 results=$OUT/insn status=0

	shift
	rm -rf "$results" "$OUT/insn.counts"
	mkdir -p "$results"
	make_plugin
	[ -z "$peers" ] || cp -r "$peers" "$results/peers"
	VM_KERNEL=6.12 VM_SMP=1 VM_ACCEL=tcg VM_CPU=$(cpu) \
		VM_TIMEOUT=${VM_TIMEOUT:-3600} VM_RESULTS=$results \
		VM_ARGS="-plugin $OUT/insn_plugin.so,out=$OUT/insn.counts ${INSN_QEMU_ARGS:-}" \
		"$VM_DIR/vm.sh" "/vdpa-blk/selftests/bench/insn_guest.sh $1 $SEED ${*:2}" \
		>&2 || status=$?
	[ "$status" -eq 0 ] || die "the VM ended with $status"
	perl "$BENCH/insn_profile.pl" -p "$OUT" "$OUT/insn.counts" \
		"$results/labels" "$results" >"$OUT/insn.lines"
	rm "$OUT/insn.counts"
}

gate() {
	perl "$BENCH/insn_report.pl" gate "$OUT/insn.lines" \
		"$(cat "$OUT/insn/release")" "$RECORDED"
}

# A machine that is busy makes a request take longer, and the scheduler does
# some of its accounting by time. So a case that fails has a second chance,
# which does not help one that is slower.
run_gate() {
	local first=$OUT/insn.lines.first

	# shellcheck disable=SC2086 # a list
	count '' "$ROUNDS" $GATE_CASES
	if gate >"$OUT/insn.tap"; then
		cat "$OUT/insn.tap"
		return
	fi
	mv "$OUT/insn.lines" "$first"
	# shellcheck disable=SC2086
	count '' "$ROUNDS" $GATE_CASES
	cat "$first" >>"$OUT/insn.lines"
	rm "$first"
	gate
}

main_insn() {
	cleanup_on_exit
	mkdir -p "$OUT"
	need_pkgs gcc libc6-dev perl qemu-system-x86
	case ${1:-} in
	--gate)
		run_gate
		;;
	--record)
		# shellcheck disable=SC2086 # a list
		count '' "$ROUNDS" $GATE_CASES
		perl "$BENCH/insn_report.pl" record "$OUT/insn.lines" \
			"$(cat "$OUT/insn/release")" >"$RECORDED"
		cat "$RECORDED"
		;;
	'')
		echo "insn: ROUNDS=$ROUNDS SEED=$SEED" >&2
		need_peers 6.12
		# shellcheck disable=SC2046 # a list
		count "$(peers_path 6.12)" "$ROUNDS" $(all_cases)
		perl "$BENCH/insn_report.pl" json "$OUT/insn.lines" >"$OUT/insn.json"
		perl "$BENCH/insn_report.pl" table "$OUT/insn.lines"
		;;
	*)
		die "usage: insn.sh [--gate | --record]"
		;;
	esac
}

main_insn "$@"
exit
