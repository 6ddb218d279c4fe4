/* SPDX-License-Identifier: GPL-2.0-only */
/* Between CPUs, as strong as the kernel's. */
#ifndef STUB_ASM_BARRIER_H
#define STUB_ASM_BARRIER_H

/* Pairs as in the code that uses it, like the next two. */
#define virt_rmb()	__atomic_thread_fence(__ATOMIC_ACQUIRE)
/* See above. */
#define virt_wmb()	__atomic_thread_fence(__ATOMIC_RELEASE)
/* See above. */
#define virt_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
