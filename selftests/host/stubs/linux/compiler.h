/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to shared memory and barriers, which a test can watch, and use as
 * the moment to play the other side.
 */
#ifndef STUB_LINUX_COMPILER_H
#define STUB_LINUX_COMPILER_H

#include <linux/types.h>

enum host_access {
	HOST_READ,
	HOST_WRITE,
	HOST_RMB,
	HOST_WMB,
	HOST_MB,
};

/* Called after each of them when it is set; @addr and @len of what. */
extern void (*host_hook)(enum host_access what, const void *addr, size_t len);

static inline void host_access(enum host_access what, const void *addr,
			       size_t len)
{
	if (host_hook)
		host_hook(what, addr, len);
}

#define READ_ONCE(x) \
({ \
	const __typeof__(x) *__from = &(x); \
	__typeof__(x) __val = __atomic_load_n(__from, __ATOMIC_RELAXED); \
	host_access(HOST_READ, __from, sizeof(*__from)); \
	__val; \
})

#define WRITE_ONCE(x, val) \
do { \
	__typeof__(x) *__to = &(x); \
	__atomic_store_n(__to, val, __ATOMIC_RELAXED); \
	host_access(HOST_WRITE, __to, sizeof(*__to)); \
} while (0)

#endif
