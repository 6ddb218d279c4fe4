#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel.sh ARCH TARGET FRAGMENT...: build the kernel of /ksrc in /kbuild from
# tinyconfig and configuration fragments. Runs inside the trixie root, started
# by setup.sh.

set -euo pipefail

arch=$1 target=$2
shift 2
make=(make -C /ksrc O=/kbuild "ARCH=$arch")

# olddefconfig drops an option whose dependencies are not met without a word:
# a KASAN kernel without KASAN would pass every test.
check_config() {
	local line bad=0

	while read -r line; do
		case $line in
		'' | '#'*)
			continue
			;;
		*=n)
			grep -q "^${line%=n}=" /kbuild/.config || continue
			;;
		*)
			grep -qxF "$line" /kbuild/.config && continue
			;;
		esac
		echo "this kernel cannot have $line" >&2
		bad=1
	done < <(cat "$@")
	return "$bad"
}

"${make[@]}" -s tinyconfig
/ksrc/scripts/kconfig/merge_config.sh -m -O /kbuild /kbuild/.config "$@"
"${make[@]}" -s olddefconfig
check_config "$@"

# On the command line this is for every folder of the kernel, and for no module
# that is built later.
! grep -q ^CONFIG_KCSAN=y /kbuild/.config || make+=(KCSAN_SANITIZE=n)
if ! grep -q ^CONFIG_MODULES=y /kbuild/.config; then
	"${make[@]}" -j"$(nproc)" "$target"
	exit
fi
"${make[@]}" -j"$(nproc)" "$target" modules
# Below usr, as /lib is a link in the root this is laid over.
"${make[@]}" -s INSTALL_MOD_PATH=/kbuild/installed/usr modules_install
# Not needed for modules built later, and most of the size.
find /kbuild -path /kbuild/scripts -prune -o -path /kbuild/installed -prune \
	-o \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name '*.ko' \) \
	-type f -exec rm {} +
[ "$arch" = um ] || exit 0

# The machine that runs it may have an older C library, so it gets its own, to
# be found from the build folder. (A static link would rule out KASAN inline,
# and through the loader as a program UML finds its memory elsewhere.)
mkdir /kbuild/libc
ldd /kbuild/linux | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' |
	xargs -I{} cp -L {} /kbuild/libc/
cp -L /lib64/ld-linux-x86-64.so.2 /kbuild/libc/
sed -i 's,/lib64/ld-linux-x86-64.so.2\x00,libc/ld-linux-x86-64.so.2\x00\x00\x00,' \
	/kbuild/linux
