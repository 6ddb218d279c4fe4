/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the vdpa tool asks of the kernel, for tests that do it a thousand times:
 * no process is started. Functions return 0 or a negative errno.
 */
#ifndef VDPA_GENL_H
#define VDPA_GENL_H

#include <stdint.h>
#include <linux/types.h>

/* @features 0: the default ones. */
int vdpa_genl_add(const char *name, const char *mgmtdev, __u64 features);
int vdpa_genl_del(const char *name);
/* Asked, and the answer thrown away: vdpa dev show, config show, vstats show. */
int vdpa_genl_show(const char *name);
int vdpa_genl_config(const char *name);
int vdpa_genl_vstats(const char *name, __u32 queue);

#endif
