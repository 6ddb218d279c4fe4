/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_LINUX_BITS_H
#define STUB_LINUX_BITS_H

#define BIT(n)	(1UL << (n))

#endif
