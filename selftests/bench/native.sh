#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# native.sh: requests through /dev/vhost-vdpa-N at the speed of this machine, in
# user-mode Linux. What it says about the kernel's code holds elsewhere; system
# calls and wake-ups are slow there, so that single requests say little.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

part_start native
in_uml native-vm.sh
part_end
