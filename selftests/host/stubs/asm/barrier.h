/* SPDX-License-Identifier: GPL-2.0-only */
/* Only one CPU plays both sides: what counts is where the barriers are. */
#ifndef STUB_ASM_BARRIER_H
#define STUB_ASM_BARRIER_H

#include <linux/compiler.h>

/* For the record only, like the next two. */
#define virt_rmb()	host_access(HOST_RMB, NULL, 0)
/* See above. */
#define virt_wmb()	host_access(HOST_WMB, NULL, 0)
/* See above. */
#define virt_mb()	host_access(HOST_MB, NULL, 0)

#endif
