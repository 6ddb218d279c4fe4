/* SPDX-License-Identifier: GPL-2.0-only */
/* Has something been left over in the kernel? For tests of many rounds. */
#ifndef MEMORY_USE_H
#define MEMORY_USE_H

#include <stdbool.h>

struct memory_use {
	long free_kib;
	long pins;		/* of user pages, that nobody has given back */
	long threads;		/* of disks */
};

void memory_measure(struct memory_use *use);
/*
 * Has it, by more than the kernel's own comings and goings, after so many
 * rounds? Says what.
 */
bool memory_grew(const struct memory_use *before, unsigned int rounds);

#endif
