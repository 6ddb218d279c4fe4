#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vm.sh 'COMMAND': run a shell command in a test VM that has this tree's
# modules built for its kernel. Output is passed on as it comes, and so is the
# exit status; 99 if the VM hung, died or complained on its console. The first
# run sets up what is missing.
#
#   VM_KERNEL=uml     6.12, 7.3 (Debian, in QEMU), debug, kcsan (QEMU), uml,
#                     uml-debug, uml-faults, uml-gcov
#   VM_TIMEOUT=600    seconds
#   VM_SMP=2          CPUs
#   VM_MEM=3G         memory (2G for user-mode Linux)
#   VM_RESULTS=       folder of this machine to have as /results
#   VM_DISK=          raw disk image or block device to have as $VM_DISK
#   VM_ARGS=          more arguments for QEMU or for user-mode Linux
#   VM_APPEND=        more kernel command line (QEMU)
#   VM_ACCEL=         kvm or tcg; without it what the CPU can do
#   VM_CPU=max        CPU model
#   VM_CONSOLE=       keep the console log in this file
#   VM_PCI=           1: virtio functions behind an IOMMU, to take away from
#                     their driver: $VDPA_BLK_PCI (QEMU), see pci.sh
#
# The command starts in the folder with the modules, in a copy of the whole
# tree at /vdpa-blk, with $KSFT_DIR and (QEMU) $GUEST_KERNEL, $GUEST_INITRD.
# Nothing it writes stays, but for /results and $VM_DISK.

# shellcheck disable=SC2317 # functions called by a name made up at run time
# shellcheck source-path=SCRIPTDIR source=build.sh
. "$(dirname "${BASH_SOURCE[0]}")/build.sh"
# shellcheck source-path=SCRIPTDIR source=pci.sh
. "$VM_DIR/pci.sh"

VM_FAILED=99

VM_KERNEL=${VM_KERNEL:-uml}
VM_TIMEOUT=${VM_TIMEOUT:-600}
VM_SMP=${VM_SMP:-2}
VM_RESULTS=${VM_RESULTS:-}
VM_DISK=${VM_DISK:-}
VM_ARGS=${VM_ARGS:-}
VM_APPEND=${VM_APPEND:-}
VM_CPU=${VM_CPU:-max}
VM_PCI=${VM_PCI:-}

# Each pattern is a kernel that says something is wrong.
CONSOLE_BAD='BUG:|WARNING:|Oops|KASAN|UBSAN:|KCSAN|kmemleak: [0-9]+ new'
CONSOLE_BAD+='|possible (circular|recursive|irq lock)|inconsistent lock state'
CONSOLE_BAD+='|suspicious RCU usage|INFO: task .* blocked|soft lockup'
CONSOLE_BAD+='|rcu.*(stall|detected)|ODEBUG:|list_(add|del) corruption'
CONSOLE_BAD+='|Kernel panic|Call Trace|general protection|preinit: '

platform() {
	case $VM_KERNEL in
	uml*) echo uml ;;
	*) echo qemu ;;
	esac
}

need_for_vm() {
	if [ "$(platform)" = uml ]; then
		need_pkgs procps
		return
	fi
	need_pkgs qemu-system-x86 cpio procps
	need image
	need initrd
	need guest
}

# --- the files of this run -------------------------------------------------

# write_run_files DIR: what preinit and init-vm read.
write_run_files() {
	local dir=$1

	cp "$VM_DIR/init-vm" "$dir/"
	printf '%s\n' "$command" >"$dir/command"
	{
		printf '%s=%q\n' VM_PLATFORM "$(platform)" \
			VM_KERNEL "$VM_KERNEL"
		if [ "$(platform)" = uml ]; then
			printf '%s=%q\n' VM_ROOT "$(item_path root)" \
				VM_MODULES "$(item_path "$VM_KERNEL")/installed" \
				VM_RESULTS "$VM_RESULTS" \
				VM_DISK "${VM_DISK:+/dev/ubda}"
		else
			printf '%s=%q\n' VM_ROOT '' VM_DISK "${VM_DISK:+yes}" \
				VM_PCI_PLACES "${VM_PCI:+$(pci_places)}"
		fi
	} >"$dir/run-env"
}

# write_payload FILE: the tree and its neighbours as one archive; a share with
# many small files is slow under emulation.
write_payload() {
	local more=()

	if [ "$(platform)" = qemu ]; then
		more=(-C "$(item_path guest)" --transform 's,^bzImage,run/guest/&,'
			bzImage -C "$(item_path initrd)"
			--transform 's,^guest.cpio.gz,run/guest/&,' guest.cpio.gz)
		# Debian's are on the root disk.
		! built_here "$VM_KERNEL" ||
			more+=(-C "$(item_path "$VM_KERNEL")/installed" usr)
	fi
	tar -cf "$1" --owner=0 --group=0 \
		--exclude='*.o' --exclude='.*.cmd' --exclude='*.mod.c' \
		--exclude='modules/*/build' \
		--transform 's,^\./tree,vdpa-blk,' \
		--transform 's,^\./ksft,ksft,' "${more[@]}" \
		-C "$run/links" -h ./tree ./ksft
}

make_payload() {
	mkdir "$run/links"
	ln -s "$TOP/build/$VM_KERNEL" "$run/links/tree"
	ln -s "$(item_path ksft)" "$run/links/ksft"
	exec {tree_lock}>"$TOP/build/.$VM_KERNEL.lock"
	flock -s "$tree_lock"
	write_payload "$1"
	exec {tree_lock}>&-
}

# --- QEMU ------------------------------------------------------------------

# /dev/kvm can exist where no kernel boots with it: ask the CPU. With a thread for
# each CPU, QEMU before 8.2 changes the memory map under the others when one of them
# moves a BAR or unplugs a function: they lose their timers, or more.
accel() {
	if [ -n "${VM_ACCEL:-}" ]; then
		echo "$VM_ACCEL"
	elif [ -w /dev/kvm ] && grep -qwE 'svm|vmx' /proc/cpuinfo; then
		echo kvm
	elif [ -n "$VM_PCI" ]; then
		echo tcg,thread=single
	else
		echo tcg,thread=multi
	fi
}

# What boots: the kernel, and the first part of its initial RAM disk
kernel_image() {
	if built_here "$VM_KERNEL"; then
		echo "$(item_path "$VM_KERNEL")/arch/x86/boot/bzImage"
	else
		echo "$(item_path root)/boot/vmlinuz-$VM_KERNEL".*
	fi
}

kernel_initrd() {
	if built_here "$VM_KERNEL"; then
		echo "$(item_path "$VM_KERNEL")/boot.cpio"
	else
		echo "$(item_path initrd)/$VM_KERNEL.cpio"
	fi
}

prepare_qemu() {
	local dir=$run/initrd

	mkdir "$dir"
	write_run_files "$dir"
	cp "$VM_DIR/preinit" "$dir/init"
	make_payload "$dir/payload.tar"
	[ -z "$VM_PCI" ] || pci_disks "$run"
	pack "$dir" "$run/run.cpio"
	# The kernel unpacks one archive after the other.
	cat "$(kernel_initrd)" "$run/run.cpio" >"$run/initrd.cpio"
	rm -rf "$dir" "$run/run.cpio"
	: >"$run/status"
}

start_qemu() {
	local extra disk=() pci=() append

	read -ra extra <<<"$VM_ARGS"
	if [ -n "$VM_DISK" ]; then
		# shellcheck disable=SC2054 # QEMU's commas
		disk=(-drive "file=$VM_DISK,if=none,format=raw,id=vmdisk"
			-device virtio-blk-pci,drive=vmdisk,serial=vmdisk)
	fi
	append="console=ttyS0,115200 loglevel=5 panic=-1 oops=panic"
	append+=" softlockup_panic=1 $VM_APPEND"
	if [ -n "$VM_PCI" ]; then
		mapfile -t pci < <(pci_args "$run")
		# On a busy host the kernel takes the timer for a dead one, and
		# with interrupt remapping that is a panic.
		append+=" intel_iommu=on no_timer_check"
	fi
	# TMPDIR is where snapshot=on writes.
	TMPDIR=$run exec timeout -k 5 -s TERM "$VM_TIMEOUT" \
		qemu-system-x86_64 -M q35 -accel "$(accel)" -cpu "$VM_CPU" \
		-m "${VM_MEM:-3G}" -smp "$VM_SMP" \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$(kernel_image)" \
		-initrd "$run/initrd.cpio" -append "$append" \
		-serial "file:$run/console" \
		-chardev "pipe,id=output,path=$run/output" -serial chardev:output \
		-serial "file:$run/status" \
		"${pci[@]}" \
		-drive "file=$(item_path image)/root.img,if=none,format=raw,snapshot=on,cache=unsafe,id=root" \
		-device virtio-blk-pci,drive=root \
		-virtfs "local,path=$VM_RESULTS,mount_tag=results,security_model=none" \
		-device virtio-rng-pci \
		"${disk[@]}" "${extra[@]}"
}

# --- user-mode Linux -------------------------------------------------------

# The first root is a folder of this run, see preinit.
prepare_uml() {
	local dir=$run/boot

	pack_busybox "$dir"
	write_run_files "$dir"
	cp "$VM_DIR/preinit" "$dir/"
	make_payload "$dir/payload.tar"
}

# In its folder, where it finds the C library it was built with. The name of what
# is preloaded has no blanks.
start_uml() {
	local extra disk=() uml

	uml=$(item_path "$VM_KERNEL")
	read -ra extra <<<"$VM_ARGS"
	[ -z "$VM_DISK" ] || disk=("ubd0=$VM_DISK")
	cp "$TOP/build/$VM_KERNEL/selftests/vm/uml_irq.so" "$run/"
	exec 3>"$run/output.out" >"$run/console" 2>&1
	cd "$uml"
	exec timeout -k 5 -s KILL "$VM_TIMEOUT" \
		env "LD_LIBRARY_PATH=libc:$run" LD_PRELOAD=uml_irq.so ./linux \
		"mem=${VM_MEM:-2G}" "ncpus=$VM_SMP" seccomp=on \
		"uml_dir=$run/uml" umid=vm \
		root=/dev/root rootfstype=hostfs "rootflags=$run/boot" rw \
		init=/preinit con=null ssl=null con0=null,fd:1 con1=null,fd:3 \
		loglevel=5 panic=-1 noreboot \
		"${disk[@]}" "${extra[@]}"
}

# --- the run ---------------------------------------------------------------

# Harmless lines that are not this package's, each with its reason.
console_without_known() {
	grep -avEf <(grep -vE '^(#|$)' "$VM_DIR/console-known") "$run/console" |
		tr -d '\r'
}

show_console() {
	log "$*; the end of the console:"
	tail -q -n 40 "$run/console" "$run/messages" | tr -d '\r' |
		sed 's/^/| /' >&2
}

status_file() {
	if [ "$(platform)" = uml ]; then
		echo "$run/boot/status"
	else
		echo "$run/status"
	fi
}

# verdict VM-STATUS: what this run, begun at vm_start, means. A pass needs the
# status line, an untainted kernel and a console without complaints.
verdict() {
	local vm=$1 status complaint

	status=$(tr -d '\r' 2>/dev/null <"$(status_file)" || true)
	complaint=$(console_without_known | grep -m1 -aE "$CONSOLE_BAD" || true)
	if [ -n "$complaint" ]; then
		show_console "the kernel complained: $complaint"
	elif [[ $status =~ ^exit\ ([0-9]+)$ ]]; then
		return "${BASH_REMATCH[1]}"
	elif [ -n "$status" ]; then
		show_console "the VM says: $status"
	elif [ $((SECONDS - vm_start)) -ge "$VM_TIMEOUT" ]; then
		show_console "no end after $VM_TIMEOUT s"
	else
		show_console "the VM died without a status (exit $vm)"
	fi
	return "$VM_FAILED"
}

run_vm() {
	local status=0 reader hold

	mkfifo "$run/output.out"
	[ "$(platform)" = uml ] || mkfifo "$run/output.in"
	: >"$run/console"
	# Held open by us as well, or the reader would wait for ever for a VM
	# that does not even start.
	exec {hold}<>"$run/output.out"
	cat <"$run/output.out" {hold}>&- &
	reader=$!
	vm_start=$SECONDS
	run_job "start_$(platform)" 2>"$run/messages"
	exec {hold}>&-
	wait "$reader" || true
	[ -z "${VM_CONSOLE:-}" ] || cp "$run/console" "$VM_CONSOLE"
	verdict "$job_status" || status=$?
	return "$status"
}

check_arguments() {
	[ -z "$VM_DISK" ] || [ -r "$VM_DISK" ] || die "no disk $VM_DISK"
	[ -z "$VM_DISK" ] || VM_DISK=$(realpath "$VM_DISK")
	[ -z "$VM_PCI" ] || [ "$(platform)" = qemu ] ||
		die "VM_PCI is for QEMU, and $VM_KERNEL is not"
	if [ -n "$VM_RESULTS" ]; then
		mkdir -p "$VM_RESULTS"
		VM_RESULTS=$(realpath "$VM_RESULTS")
	else
		mkdir "$run/results"
		VM_RESULTS=$run/results
	fi
}

main_vm() {
	[ $# -eq 1 ] || die "usage: vm.sh 'COMMAND' (variables: see its head)"
	command=$1
	cleanup_on_exit
	run=$(mktemp -d "${TMPDIR:-/tmp}/vdpa-blk-vm.XXXXXX")
	scratch+=("$run")
	check_arguments
	build "$VM_KERNEL"
	need_for_vm
	"prepare_$(platform)"
	run_vm
	# Here, so that bash reads no further should this file have changed.
	exit 0
}

main_vm "$@"
