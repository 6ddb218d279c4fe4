#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check.sh [STAGE...]: run the tests, count the cases, end with the totals
# "N passed, N failed, N skipped". Without arguments every stage. Three stages run
# at a time. The whole output of each is in build/check/STAGE.log.
#
#   lint        sparse and compiler warnings, checkpatch, shellcheck
#   host        ring and request code on this machine, with sanitizers, and
#               fuzzed for FUZZ_TIME seconds (default 120; not with QUICK=1)
#   uml         the kselftests in user-mode Linux
#   uml-debug   the same with KASAN and lockdep
#   6.12, 7.3   the kselftests on Debian's kernels, in QEMU
#   insn        no more instructions per request than recorded
#   pci         those of vdpa_blk_pci, on 6.12 in QEMU; VM_KERNEL=7.3 for another
#
# and by name only:
#
#   abuse       all that hostile clients do, in user-mode Linux: a part of uml, for
#               those who work on that
#   power       power cuts: user-mode Linux is killed POWER_CUTS times
#               (default 4)
#   uml-faults  memory that is refused, one allocation at a time
#   coverage    that and the stage uml, counted; see coverage.sh
#   debug       all kselftests, on 6.12 with sanitizers in QEMU, what is left of
#               memory, and a short benchmark; kcsan with a look for data races
#   debug-pci   those of vdpa_blk_pci with sanitizers

# shellcheck source-path=SCRIPTDIR source=build.sh
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"

# The longest first.
STAGES="6.12 uml uml-debug 7.3 pci host lint insn"
# To be asked for by name.
MORE_STAGES="abuse power uml-faults coverage debug debug-pci kcsan"
# One more than the CPUs of a small machine: a stage waits for disks and timers.
LANES=3
# Only a kernel with fault injection can be refused memory.
FAULTS_ONLY="faults_memory.sh"
# What is worth its time where all is ten times slower: races, hostile clients,
# and real ones. With QUICK=1 the heart of it, and fewer rounds everywhere.
DEBUG_PROGS="vhost_suspend vhost_lifecycle vhost_bad_clients vhost_bad_maps"
DEBUG_PROGS+=" vhost_fuzz"
DEBUG_SCRIPTS="libblkio.sh"
# Minutes under emulation. dkms compiles: natively in user-mode Linux, for all
# kernels. configfs.sh is about what is in no kernel but in the module.
SLOW_PROGS="dkms.sh backends.sh vhost_backends.sh flush_order.sh configfs.sh"
LONG_PROGS="$SLOW_PROGS faults.sh resize.sh stats.sh"
# About this package and not about a kernel: once will do.
ONCE_SCRIPTS="cache_mode.sh docs.sh stats.sh"
# About this package more than about a kernel, and worth the more the more they
# do.
UML_PROGS="vhost_fuzz life_cycle vhost_owners"
# About this package and not about a kernel's clients: once for 7.3 will do.
UML_SCRIPTS="$ONCE_SCRIPTS many_disks.sh remove_busy.sh no_memory.sh discard.sh"
UML_SCRIPTS+=" module.sh dev_add.sh config.sh direct.sh"
# Of scripts with many cases those that lean on the kernel most.
EMULATED_ENV="ROUNDS=3 \
	KSELFTEST_BACKENDS_SH_ARGS='file_on_ext4 file_on_xfs null_blk nvme_tcp \
		nbd libblkio_on_a_file' \
	KSELFTEST_RESIZE_SH_ARGS='through_vhost a_remote_device_grows_under_load' \
	KSELFTEST_VHOST_BACKENDS_SH_ARGS='vhost_requests_on_file \
		vhost_suspend_on_null_blk vhost_lifecycle_on_file' \
	KSELFTEST_NESTED_GUEST_SH_ARGS=over_pci_on_a_file_that_grows \
	KSELFTEST_FLUSH_ORDER_SH_ARGS='a_flush_on_a_device a_flush_on_a_file \
		each_write_on_a_device each_write_on_a_file \
		writes_without_a_flush_are_lost' \
	KSELFTEST_FAULTS_SH_ARGS='an_avail_index_that_goes_back \
		a_full_file_system a_page_cache_that_has_lost_data \
		a_device_that_hangs a_device_is_removed_under_load \
		a_device_is_back'"
# They mostly wait.
WAITING="many_disks.sh remove_busy.sh cache_mode.sh no_memory.sh module.sh"
# They want virtio functions, which are in a VM of their own, and clients.
PCI_SCRIPTS="pci_bind.sh pci_virtio.sh pci_vhost.sh pci_life.sh pci_guest.sh"
PCI_CLIENTS="vhost_pci vhost_setup vhost_lifecycle vhost_rings vhost_layouts"
PCI_CLIENTS+=" vhost_bad_clients vhost_bad_maps"
# For stages of their own.
NEEDY_SCRIPTS="$FAULTS_ONLY $PCI_SCRIPTS"
# What testing.rst calls the abuse list.
ABUSE_PROGS="vhost_bad_starts vhost_bad_rings vhost_bad_packed"
ABUSE_PROGS+=" vhost_bad_requests vhost_bad_maps vhost_bad_clients"
ABUSE_PROGS+=" vhost_bad_backends vhost_requests vhost_blocksize vhost_layouts"
ABUSE_PROGS+=" vhost_setup vhost_suspend vhost_lifecycle"
ABUSE_SCRIPTS="vhost_backends.sh remove_busy.sh"
ABUSE_ENV="KSELFTEST_REMOVE_BUSY_SH_ARGS='a_delete_waits_for_the_last_close \
	unloading_waits_for_the_last_close' \
	KSELFTEST_VHOST_BACKENDS_SH_ARGS='vhost_bad_requests_on_file \
	vhost_bad_requests_on_null_blk vhost_bad_maps_on_file \
	vhost_bad_maps_on_null_blk'"
ROUNDS_ENV=
# What the stage does in the VM after its tests, whatever their end.
AFTER=
if [ -z "${QUICK:-}" ]; then
	DEBUG_PROGS+=" vhost_setup vhost_layouts vhost_bad_rings vhost_bad_packed"
	DEBUG_PROGS+=" vhost_bad_starts vhost_bad_requests vhost_bad_backends"
	DEBUG_PROGS+=" vhost_poll vhost_owners life_cycle"
	DEBUG_SCRIPTS+=" direct.sh virtio_vdpa_fio.sh"
	DEBUG_SUSPEND="-v split -v packed_in_order"
else
	DEBUG_SUSPEND="-v packed_in_order"
	ROUNDS_ENV="ROUNDS=3 VDPA_BLK_REQUESTS=70000 FUZZ_TIME=5"
fi
# Counting wake-ups finds no race, and one way through a library is enough.
DEBUG_ENV="KSELFTEST_DIRECT_SH_ARGS=many_on_one_queue \
	KSELFTEST_LIBBLKIO_SH_ARGS=vectors_and_many_at_once \
	KSELFTEST_VHOST_SUSPEND_ARGS='$DEBUG_SUSPEND' \
	KSELFTEST_VHOST_LIFECYCLE_ARGS='-v packed' \
	KSELFTEST_VHOST_LAYOUTS_ARGS='-v indirect_event_idx -v packed_indirect' \
	KSELFTEST_VIRTIO_VDPA_FIO_SH_ARGS='libaio_512 libaio_4096_split'"
[ -n "${QUICK:-}" ] || DEBUG_ENV+=" FUZZ_TIME=30 ROUNDS=8"
# So is one kind of ring for what is not about rings.
ONE_KIND_ENV="KSELFTEST_VHOST_BAD_STARTS_ARGS='-V split' \
	KSELFTEST_VHOST_BAD_REQUESTS_ARGS='-V split' \
	KSELFTEST_VHOST_BAD_MAPS_ARGS='-V packed' \
	KSELFTEST_VHOST_BAD_CLIENTS_ARGS='-V packed' \
	KSELFTEST_VHOST_BAD_BACKENDS_ARGS='-V split'"
# The runner's own limit is for a program on a kernel without sanitizers.
NO_HURRY="kselftest_override_timeout=5400"
# No figures from a kernel like that: the load of the benchmark, as a test.
SMOKE='SEED=1 ROUNDS=1 /vdpa-blk/selftests/bench/native-vm.sh >/dev/null &&
	echo "ok 1 bench: native" || echo "not ok 1 bench: native"'
LEFT_OVER='/vdpa-blk/selftests/vdpa_blk/faults_memory.sh nothing_is_lost'
OUT=$TOP/build/check

# Seconds after which a stage has hung.
limit_of() {
	case $1 in
	uml | abuse) echo 1800 ;;
	uml-debug) echo 2400 ;;
	debug* | kcsan) echo 14400 ;;
	*) echo 3600 ;;
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
		need_pkgs python3
		bench_tests
		[ -n "${QUICK:-}" ] ||
			FUZZ_TIME=${FUZZ_TIME:-120} \
				"$TOP/selftests/host/fuzz/fuzz.sh"
		;;
	power)
		POWER_CUTS=${POWER_CUTS:-4} "$VM_DIR/power.sh"
		;;
	insn)
		"$TOP/selftests/bench/insn.sh" --gate
		;;
	uml-debug)
		ROUNDS_ENV+=" $DEBUG_ENV $ONE_KIND_ENV"
		vm_tests "$1" "TEST_GEN_PROGS=$DEBUG_PROGS" \
			"TEST_PROGS=$DEBUG_SCRIPTS"
		;;
	uml-faults)
		vm_tests "$1" TEST_GEN_PROGS= "TEST_PROGS=$FAULTS_ONLY"
		;;
	uml)
		vm_tests "$1" \
			"SKIP_PROGS=nested_guest.sh $NEEDY_SCRIPTS${QUICK:+ $LONG_PROGS $WAITING}"
		;;
	6.12)
		ROUNDS_ENV+=" $EMULATED_ENV"
		vm_tests "$1" "SKIP_PROGS=dkms.sh configfs.sh config.sh \
			many_disks.sh remove_busy.sh $UML_PROGS $ONCE_SCRIPTS \
			$NEEDY_SCRIPTS"
		;;
	coverage)
		# Each as it is in a stage of its own; dkms builds what is not
		# counted.
		AFTER="cp -rd /sys/kernel/debug/gcov/vdpa-blk /results/"
		vm_tests "$1" \
			"SKIP_PROGS=nested_guest.sh dkms.sh $PCI_SCRIPTS"
		;;
	abuse)
		ROUNDS_ENV+=" $ABUSE_ENV"
		vm_tests "$1" "TEST_GEN_PROGS=$ABUSE_PROGS" \
			"TEST_PROGS=$ABUSE_SCRIPTS"
		;;
	pci)
		ROUNDS_ENV="KSELFTEST_PCI_GUEST_SH_ARGS=over_mmio"
		pci_tests "$1" "$PCI_SCRIPTS"
		;;
	debug-pci)
		# A guest in it would be emulated twice, and watched.
		ROUNDS_ENV="VDPA_BLK_REQUESTS=20000 $NO_HURRY"
		pci_tests "$1" "${PCI_SCRIPTS/pci_guest.sh/}"
		;;
	debug | kcsan)
		ROUNDS_ENV="ROUNDS=5 VDPA_BLK_REQUESTS=20000 FUZZ_TIME=120 $NO_HURRY"
		AFTER=$SMOKE
		[ "$1" != debug ] || AFTER+="; $LEFT_OVER"
		vm_tests "$1" "SKIP_PROGS=nested_guest.sh dkms.sh $NEEDY_SCRIPTS"
		;;
	7.3)
		# User-mode Linux is a 7.3 too, and ten times faster: here what
		# clients do with Debian's own.
		ROUNDS_ENV="VDPA_BLK_REQUESTS=20000 $ONE_KIND_ENV \
			KSELFTEST_NESTED_GUEST_SH_ARGS=over_mmio"
		vm_tests "$1" \
			"SKIP_PROGS=$LONG_PROGS $UML_SCRIPTS $UML_PROGS \
			$NEEDY_SCRIPTS"
		;;
	esac
}

bench_tests() {
	local name="bench: report_test"

	if "$TOP/selftests/bench/report_test.py" 2>&1 | sed 's/^/# /'; then
		echo "ok 1 $name"
	else
		echo "not ok 1 $name"
		return 1
	fi
}

# pci_tests STAGE SCRIPTS
pci_tests() {
	VM_PCI=1 vm_tests "$1" "TEST_PROGS=$2" TEST_GEN_PROGS= \
		"TEST_GEN_PROGS_EXTENDED=$PCI_CLIENTS"
}

# vm_tests STAGE [MAKE-ARGUMENT...]: on the kernel of that name
vm_tests() {
	local stage=$1 kernel=$1

	shift
	case $stage in
	pci) kernel=${VM_KERNEL:-6.12} ;;
	debug-pci) kernel=debug ;;
	abuse) kernel=uml ;;
	coverage) kernel=uml-gcov ;;
	esac
	VM_KERNEL=$kernel VM_TIMEOUT=$(limit_of "$stage") \
		VM_RESULTS=$OUT/$stage.results \
		VM_CONSOLE=$OUT/$stage.console \
		"$VM_DIR/vm.sh" "$ROUNDS_ENV make -s -C /vdpa-blk/selftests \
			TARGETS=vdpa_blk run_tests ${*@Q}${AFTER:+; rc=\$?
			$AFTER; exit \$rc}"
}

# Counts KTAP: the cases inside of a program are what counts ("# ok 1 name");
# a program that failed without saying where is one failed case, one that was
# skipped as a whole one skipped case. Writes the totals to $totals, what
# programs with a failed case said to $failures, and the cases to $failures.names.
# shellcheck disable=SC2016 # awk
count='
function program_end(failed, skipped, name,    i) {
	if (failed && !f)
		bad[f++] = "ended badly"
	else if (!p && !f && !s)
		if (skipped) s = 1; else p = 1
	printf "%-9s %-28s %3d passed", stage, name, p
	if (f) printf ", %d FAILED", f
	if (s) printf ", %d skipped", s
	printf " (%d s)\n", systime() - start
	fflush()
	if (f) {
		print stage ": " name > failures
		for (i = lines > 60 ? lines - 60 : 0; i < lines; i++)
			print stage ": " line[i] > failures
		for (i = 0; i < f; i++)
			print "FAILED: " stage ": " name ": " bad[i] > names
	}
	passed += p; failed_all += f; skipped_all += s
	p = f = s = lines = 0
	start = systime()
}
BEGIN { start = systime(); names = failures ".names" }
{ sub(/\r$/, ""); line[lines++] = $0 }
/^# +not ok [0-9]+/ {
	bad[f] = $0
	sub(/^# +not ok [0-9]+ -? */, "", bad[f++])
	print stage ": " substr($0, 3)
	fflush()
	next
}
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

# mawk reads a pipe in large pieces unless told not to: no progress to be seen.
count_awk() {
	if awk -W version 2>&1 </dev/null | grep -q mawk; then
		awk -W interactive "$@"
	else
		awk "$@"
	fi
}

# vm_end NAME: why its VM came to no good end, with the last that it said
vm_end() {
	local why

	why=$(grep -m1 "; the end of the console:\$" "$OUT/$1.messages") || return 0
	why=${why#*: }
	echo "FAILED: $1: ${why%;*}"
	tail -n 6 "$OUT/$1.messages" | cut -c -150
}

# stage NAME: leaves "passed failed skipped" in NAME.totals.
stage() {
	local name=$1 log=$OUT/$1.log totals=$OUT/$1.totals start=$SECONDS
	local failures=$OUT/$1.failures status=0 p f s

	trap '' INT
	(
		set -o pipefail
		{
			run_stage "$name" 2>&1 >&3 |
				tee "$OUT/$name.messages" >&2
		} 3>&1 | tee "$log" |
			count_awk -v stage="$name" -v totals="$totals" \
			-v failures="$failures" "$count"
	) || status=$?
	read -r p f s <"$totals"
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "FAILED: $name: ended with status $status" >>"$failures.names"
		f=1
	elif [ $((p + f + s)) -eq 0 ]; then
		echo "FAILED: $name: no test was run" >>"$failures.names"
		f=1
	fi
	vm_end "$name" >>"$failures.names"
	[ "$f" -eq 0 ] || echo "$name: the whole output is in $log"
	echo "$name: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
	echo "$p $f $s" >"$totals"
}

# Only this shell hears Ctrl-C. TERM has each script clean up behind itself: that
# is waited for.
end_stages() {
	local pid

	trap - EXIT INT TERM HUP
	scripts=()
	for pid in $(jobs -p); do
		end_shell "$pid"
	done
	for pid in "${scripts[@]}"; do
		while [ -e "/proc/$pid" ]; do
			sleep 0.1
		done
	done
	exit "$1"
}

# end_shell PID: of a shell of this script, and all below it that is not a filter,
# which ends with what it reads.
end_shell() {
	local pid children

	children=$(pgrep -P "$1" || true)
	kill -TERM "$1" 2>/dev/null || true
	for pid in $children; do
		case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") in
		*check.sh*)
			end_shell "$pid"
			;;
		tee* | *awk*) ;;
		*)
			kill -TERM "$pid" 2>/dev/null || true
			scripts+=("$pid")
			;;
		esac
	done
}

run_stages() {
	local name

	trap 'end_stages 130' INT
	trap 'end_stages 143' TERM HUP
	for name in "$@"; do
		rm -f "$OUT/$name.totals" "$OUT/$name.failures" \
			"$OUT/$name.failures.names"
		while [ "$(jobs -rp | wc -l)" -ge "$LANES" ]; do
			wait -n || true
		done
		log "$name ..."
		stage "$name" </dev/null &
	done
	wait
}

# A stage that left no totals died on the way. Failures come once more, and at
# last their names, for a reader who has the end of the output only.
sum_up() {
	local name p f s passed=0 failed=0 skipped=0

	for name in "$@"; do
		cat "$OUT/$name.failures" 2>/dev/null || true
	done
	for name in "$@"; do
		if ! read -r p f s 2>/dev/null <"$OUT/$name.totals"; then
			echo "FAILED: $name: died" >>"$OUT/$name.failures.names"
			p=0 f=1 s=0
		fi
		echo "$name: $p passed, $f failed, $s skipped"
		passed=$((passed + p))
		failed=$((failed + f))
		skipped=$((skipped + s))
	done
	for name in "$@"; do
		cat "$OUT/$name.failures.names" 2>/dev/null || true
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}

main_check() {
	local name

	mkdir -p "$OUT"
	for name in "$@"; do
		case " $STAGES $MORE_STAGES " in
		*" $name "*) ;;
		*) die "unknown stage $name; there are: $STAGES $MORE_STAGES" ;;
		esac
	done
	# Shared by all: here, and not in two stages at once.
	need root
	need ksft
	run_stages "$@"
	sum_up "$@"
}

# In one piece: bash reads a script as it goes, and this one may be edited while
# it runs for half an hour.
{
	# shellcheck disable=SC2086 # a list
	[ $# -gt 0 ] || set -- $STAGES
	main_check "$@"
	exit
}
