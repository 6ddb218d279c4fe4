/* SPDX-License-Identifier: GPL-2.0-only */
/* Client memory for timing: in the arena, or in as many IOTLB ranges as wanted. */
#ifndef BENCH_MEM_H
#define BENCH_MEM_H

#include "bench_ring.h"

/* What many ranges are made of: one piece of physically contiguous memory. */
#define BM_WINDOW	(1024UL * 1024)
/* Slots it has room for. */
#define BM_SLOTS	128

/* Slots of a queue in the arena: data of that many bytes each. */
int bm_arena(struct vv_dev *dev, struct br_queue *q, unsigned int slots,
	     unsigned int len, bool indirect);
/* How much arena bm_arena() takes. */
size_t bm_arena_size(unsigned int slots, unsigned int len, bool indirect);

/*
 * Slots in memory that is mapped as that many ranges: 1, or a power of two
 * from 8 on.  Header, data (up to a page) and status of the requests are
 * spread over all of them.  The memory is that of a file of 64 MiB in a tmpfs,
 * made while there still was a piece in one.
 */
int bm_spread(struct vv_dev *dev, struct br_queue *q, const char *file,
	      unsigned int ranges);

/* Physically contiguous pieces of a piece of memory; 0 when unknown. */
unsigned int bm_pieces(const void *addr, size_t len);

#endif
