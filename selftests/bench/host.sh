#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# host.sh: the ring and request code alone, built for this machine.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

part_start host
need_pkgs gcc libc6-dev make util-linux
bin=$(mktemp -d)
scratch+=("$bin")
make -s -C "$BENCH_DIR" OUTPUT="$bin" host_bench
echo "compiler: $(gcc --version | head -n 1)" >>"$notes"
# Always on the same CPU, in another order each time.
for ((round = 1; round <= ROUNDS; round++)); do
	run_job "${quietly[@]}" taskset -c 0 "$bin/host_bench" \
		$((SEED + round)) >>"$raw"
	[ "$job_status" -eq 0 ] || die "host_bench failed: $(tail -n 1 "$raw")"
done
part_end
