#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root-hook.sh FOLDER: what a package list cannot say about the trixie root.
# Run by mmdebstrap at the end, see make_root in setup.sh.

set -euo pipefail

root=$1

# The name has the exact version in it, so it can only be looked up.
newest_kernel() {
	chroot "$root" apt-cache search --names-only \
		'^linux-image-7[.]3.*-amd64$' | cut -d' ' -f1 |
		grep -vE 'rt-amd64|cloud|unsigned|dbg' | sort -V | tail -n 1
}

# -t also moves the unversioned meta packages on to 7.3; the 6.12 kernel they
# brought stays.
add_new_kernel() {
	local kernel

	kernel=$(newest_kernel)
	if [ -z "$kernel" ]; then
		echo "no 7.3 kernel in trixie-backports" >&2
		return 1
	fi
	INITRD=No DEBIAN_FRONTEND=noninteractive chroot "$root" \
		apt-get install -y -t trixie-backports \
		"$kernel" "${kernel/image/headers}"
	chroot "$root" apt-get clean
}

# For src-6.12 and src-7.3 of setup.sh.
note_sources() {
	local v

	for v in 6.12 7.3; do
		chroot "$root" apt-cache policy "linux-source-$v" |
			sed -n "s/^  Candidate: /src-$v /p"
	done >"$root/etc/vdpa-blk-sources"
}

# Drivers of hardware no test has. The rest unpacked: the kernel of the VM
# need not do that under emulation, and depmod is ten times as fast.
strip_modules() {
	local kernel

	for kernel in "$root"/lib/modules/*/kernel; do
		rm -rf "$kernel"/sound "$kernel"/drivers/{gpu,media,staging} \
			"$kernel"/drivers/net/{wireless,ethernet} \
			"$kernel"/drivers/{iio,infiniband,hwmon,usb,input}
		find "$kernel" -name '*.ko.xz' -print0 |
			xargs -0 -r -P"$(nproc)" -n 64 unxz
		chroot "$root" depmod "$(basename "$(dirname "$kernel")")"
	done
}

add_new_kernel
note_sources
strip_modules
# Where in_root and the VM bind or mount things.
mkdir -p "$root"/{ksrc,kbuild,ksft,vdpa-blk,results,vm}
