/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_LINUX_KERNEL_H
#define STUB_LINUX_KERNEL_H

#define U8_MAX	0xff

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define min(a, b)	min_t(__typeof__(a), a, b)

#define min_t(type, a, b) \
({ \
	type __min_a = (a); \
	type __min_b = (b); \
	__min_a < __min_b ? __min_a : __min_b; \
})

#endif
