/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to shared memory and barriers, which a test can watch, and use as
 * the moment to play the other side.
 */
#ifndef STUB_LINUX_COMPILER_H
#define STUB_LINUX_COMPILER_H

#include <linux/types.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define noinline	__attribute__((noinline))

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

/*
 * Client memory that is looked at where it is: guest.c shows it in a place that
 * nothing but READ_ONCE() can read, and counts.
 */
const void *guest_place(const void *addr);
void guest_looked(const void *addr, size_t len);

#define READ_ONCE(x) \
({ \
	const __typeof__(x) *__from = &(x), *__at = guest_place(__from); \
	__typeof__(x) __val = __atomic_load_n(__at, __ATOMIC_RELAXED); \
	if (__at == __from) \
		host_access(HOST_READ, __from, sizeof(*__from)); \
	else \
		guest_looked(__from, sizeof(*__from)); \
	__val; \
})

#define WRITE_ONCE(x, val) \
do { \
	__typeof__(x) *__to = &(x); \
	__atomic_store_n(__to, val, __ATOMIC_RELAXED); \
	host_access(HOST_WRITE, __to, sizeof(*__to)); \
} while (0)

#endif
