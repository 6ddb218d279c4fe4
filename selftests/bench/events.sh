#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# events.sh: what happens for a request, counted: kicks, interrupts, updates of
# the used ring, wake-ups, allocations, bios. Other than time, most of it is the
# same on real hardware. In QEMU, with Debian's 6.12, for its tracepoints.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

part_start events
in_qemu events-vm.sh
part_end
