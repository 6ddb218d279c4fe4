# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the parts of the benchmark share on this machine, see bench.sh. A part
# writes raw values to $raw, one JSON object on a line, and what a reader has to
# know about them to $notes, "what: text" on a line.

BENCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../vm/common.sh
. "$BENCH_DIR/../vm/common.sh"

OUT=${BENCH_OUT:-$TOP/build/bench}
ROUNDS=${ROUNDS:-5}
SEED=${SEED:-$RANDOM}

# What runs may be a VM, or a script with one, and has to clean up behind itself.
cleanup() {
	trap - EXIT INT TERM HUP
	if [ -n "$job" ]; then
		kill -TERM "$job" 2>/dev/null || true
		wait "$job" 2>/dev/null || true
	fi
	[ "${#scratch[@]}" -eq 0 ] || rm -rf -- "${scratch[@]}"
}

# Others on the machine must not run in the middle of a measurement.
quietly=()

part_start() {
	part=$1
	raw=$OUT/$part.raw
	notes=$OUT/$part.notes
	cleanup_on_exit
	mkdir -p "$OUT"
	rm -f "$OUT/$part.json" "$raw"
	if chrt --rr 1 true 2>/dev/null; then
		quietly=(chrt --rr 1)
	fi
	{
		echo "rounds: $ROUNDS, in the order of SEED=$SEED"
		echo "priority: ${quietly[*]:-normal}"
		echo "load of the machine before: $(cut -d' ' -f1-3 /proc/loadavg)"
	} >"$notes"
	log "bench $part: SEED=$SEED ROUNDS=$ROUNDS"
}

part_end() {
	need_pkgs python3
	"$BENCH_DIR/report.py" collect "$raw" "$OUT/$part.json"
}

# in_uml SCRIPT: run it in user-mode Linux, with our folder as /results.
in_uml() {
	run_job "$BENCH_DIR/../vm/build.sh" uml
	[ "$job_status" -eq 0 ] || exit "$job_status"
	echo "kernel: Linux $("$BENCH_DIR/../vm/setup.sh" --path src-7.3 |
		xargs -I{} make -s -C {} kernelversion), user-mode Linux, 2 CPUs" \
		>>"$notes"
	run_job env VM_KERNEL=uml VM_RESULTS="$OUT" "${quietly[@]}" \
		"$BENCH_DIR/../vm/vm.sh" \
		"ROUNDS=$ROUNDS SEED=$SEED /vdpa-blk/selftests/bench/$1"
	[ "$job_status" -eq 0 ] || exit "$job_status"
}

# in_qemu SCRIPT [VARIABLE=VALUE]...: the same with Debian's 6.12 in QEMU.
in_qemu() {
	local script=$1

	shift
	run_job env VM_KERNEL=6.12 VM_TIMEOUT=3600 VM_RESULTS="$OUT" \
		"${quietly[@]}" "$BENCH_DIR/../vm/vm.sh" \
		"$* ROUNDS=$ROUNDS SEED=$SEED /vdpa-blk/selftests/bench/$script"
	[ "$job_status" -eq 0 ] || exit "$job_status"
}
