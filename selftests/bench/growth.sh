#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# growth.sh: what happens to time and memory when there is more of something:
# IOTLB ranges, disks, ring entries, segments.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

part_start growth
in_uml growth-vm.sh
part_end
