#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The package through dkms, for every kernel that headers are here of, in folders
# of its own; and what a kernel gets to hear that the package is not for.

. "$(dirname "$0")/common.sh"

eval "$(grep '^BUILD_EXCLUSIVE_KERNEL=' "$TOP/dkms.conf")"

# kernels: releases that the package is for
kernels() {
	local dir k
	for dir in /lib/modules/*/build/Makefile; do
		k=${dir#/lib/modules/}
		k=${k%%/*}
		[[ ! $k =~ $BUILD_EXCLUSIVE_KERNEL ]] || echo "$k"
	done
}

# use_kernel RELEASE
use_kernel() {
	KERNEL=$1
	HEADERS=/lib/modules/$KERNEL/build
}

need_dkms() {
	need dkms make gcc
	need_headers
}

# Any of them will do where nothing is built.
need_headers() {
	[ -n "$(kernels)" ] || skip "no kernel headers"
	use_kernel "$(kernels | head -n 1)"
}

# The tree as it is packed, without what was built in it.
source_tree() {
	rm -rf "$TMP/src"
	mkdir "$TMP/src"
	(cd "$TOP" && find Kbuild Makefile dkms.conf include drivers -type f \
		\( -name '[KM]*' -o -name '*.[ch]' -o -name '*.conf' \) \
		! -name '*.mod.c' -print0 |
		xargs -0 cp --parents -t "$TMP/src")
	NAME=$(sed -n 's/^PACKAGE_NAME="\(.*\)"/\1/p' "$TMP/src/dkms.conf")
	VERSION=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$TMP/src/dkms.conf")
}

# Without the signature options dkms makes no key for this machine.
kernel_config() {
	grep -v -e CONFIG_MODULE_SIG -e "${1:-^$}" \
		"$HEADERS/include/config/auto.conf" > "$TMP/config"
}

# in_dkms COMMAND [ARG...]: nothing of it in the folders of this machine
in_dkms() {
	dkms "$@" --dkmstree "$TMP/dkms" --sourcetree "$TMP/usrsrc" \
		--installtree "$TMP/lib" --no-depmod
}

add() {
	source_tree
	rm -rf "${TMP:?}"/{dkms,usrsrc,lib}
	mkdir -p "$TMP"/{dkms,usrsrc} "$TMP/lib/$KERNEL"
	in_dkms add "$TMP/src"
	rm -r "$TMP/src"
}

it_works() {
	unload
	MOD_FILE=$1 MOD_INSTALLED='' mod_insert
	disk_add dkms0
	disk_del dkms0
	unload
}

builds_installs_and_is_removed() {
	local k
	need_dkms
	for k in $(kernels); do
		say "$k"
		use_kernel "$k"
		build_install_remove
	done
}

build_install_remove() {
	local ko
	add
	kernel_config
	# Told where the headers are, or dkms looks below the install tree.
	if ! in_dkms install -m "$NAME" -v "$VERSION" -k "$KERNEL" \
		--kernelsourcedir "$HEADERS" --config "$TMP/config"; then
		tail -n 20 "$TMP/dkms/$NAME/$VERSION/build/make.log" || :
		fail "dkms install failed"
	fi
	in_dkms status | grep -q "$NAME.*$VERSION.*$KERNEL.*installed" ||
		fail "not installed: $(in_dkms status)"
	ko=$(find "$TMP/lib" -name "$MOD.ko*")
	[ -n "$ko" ] || fail "no module in the install tree"
	expect "version" "$VERSION" "$(modinfo -F version "$ko")"
	expect "release" "$KERNEL" "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)"
	[ "$KERNEL" != "$(uname -r)" ] || it_works "$ko"

	in_dkms remove -m "$NAME" -v "$VERSION" --all
	expect "modules left" "" "$(find "$TMP/lib" -name "$MOD.ko*")"
	expect "status" "" "$(in_dkms status)"
}

# skipped ARG...: "dkms build" says no with the status for that, 77
skipped() {
	local rc=0
	in_dkms build -m "$NAME" -v "$VERSION" "$@" > "$TMP/out" 2>&1 || rc=$?
	grep BUILD_EXCLUSIVE "$TMP/out" || { cat "$TMP/out"; fail "no reason"; }
	expect "status of dkms" 77 $rc
}

# dkms matches the release of a kernel as bash does.
kernels_are_told_by_their_release() {
	local k
	for k in 5.10.0-30-amd64 6.1.0-18-amd64 6.2.1 6.9.12 6.11.9-amd64; do
		! [[ $k =~ $BUILD_EXCLUSIVE_KERNEL ]] || fail "$k is let in"
	done
	for k in 6.12.0 6.12.95+deb12-amd64 6.16.3 7.0.1 7.3.4+deb13-amd64 10.1.0; do
		[[ $k =~ $BUILD_EXCLUSIVE_KERNEL ]] || fail "$k is kept out"
	done
}

other_kernels_are_skipped() {
	need_dkms
	add
	kernel_config
	skipped -k 6.1.0-18-amd64 --kernelsourcedir "$HEADERS" \
		--config "$TMP/config"
	# As if the kernel had been configured without.
	kernel_config "^CONFIG_VDPA="
	skipped -k "$KERNEL" --kernelsourcedir "$HEADERS" \
		--config "$TMP/config"
}

make_tells_what_it_needs() {
	need make gcc
	need_headers
	source_tree
	# As if the kernel had been configured without.
	if make -C "$TMP/src" KDIR="$HEADERS" CONFIG_VDPA= modules > "$TMP/out" 2>&1; then
		fail "built without CONFIG_VDPA"
	fi
	grep "vdpa-blk needs Linux 6.12 or newer with CONFIG_VDPA" "$TMP/out" ||
		{ cat "$TMP/out"; fail "make does not say what is missing"; }
	! grep -E '^ *CC ' "$TMP/out" || fail "it tried all the same"
	# And without headers at all.
	refused "no kernel headers in $TMP/none" \
		make -C "$TMP/src" KDIR="$TMP/none"
	rm -r "$TMP/src"
}

run_cases make_tells_what_it_needs kernels_are_told_by_their_release \
	other_kernels_are_skipped builds_installs_and_is_removed
