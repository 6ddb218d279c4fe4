/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lean split-ring driver for timing, on a client of vhost_vdpa.h.
 *
 * Requests are laid out once, in slots.  Those of a batch are submitted
 * together, and all of them are back before it is submitted again.  What is left
 * for the time that counts is a sector, a status byte and an avail entry for
 * each request, and a look at its used entry.
 */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost_vdpa.h"

/* Part of the disk that requests go to: more than a CPU's own caches hold. */
#define BR_SPAN		(32UL << 20)
/* Requests in flight on a queue, at most, and batches of them. */
#define BR_MAX_SLOTS	256
#define BR_MAX_DEPTH	2
/* Data segments of a request, at most: the device's SEG_MAX. */
#define BR_MAX_SEGS	254

/* What a client can time with: 10 ns, where a clock may be a system call. */
static inline __u64 br_ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
#endif
}

static inline void br_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static inline __u64 br_random(__u64 *state)
{
	__u64 x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

/* The memory of one request, as the client and as the device see it. */
struct br_slot {
	struct virtio_blk_outhdr *hdr;
	__u8 *status;
	char *data;
	__u64 hdr_iova;
	__u64 status_iova;
	__u64 data_iova;
	struct vring_desc *chain;	/* in the ring, or an indirect table */
	__u64 sector;
	unsigned int batch;
	bool busy;
};

/* What is asked for. */
struct br_load {
	bool write;
	unsigned int bs;		/* bytes in a data segment */
	unsigned int segs;
	unsigned int batch;		/* requests */
	unsigned int depth;		/* batches in flight */
};

struct br_queue {
	struct vv_queue *vq;
	struct br_slot slot[BR_MAX_SLOTS];	/* batch after batch */
	__u16 slot_of[VV_MAX_NUM];	/* by head */
	struct vring_desc *tables;	/* of indirect requests, or NULL */
	struct br_load load;
	__u32 used_len;
	unsigned int inflight[BR_MAX_DEPTH];
	unsigned int all_inflight;
	/*
	 * The client's memory is mapped so often, this far apart, and each
	 * part of each request goes through another one of these.
	 */
	unsigned int aliases;
	unsigned int alias_shift;
	__u64 random;
	__u64 blocks;		/* requests of this size in the span */
};

static inline unsigned int br_len(const struct br_load *load)
{
	return load->bs * load->segs;
}

/* Requests in flight. */
static inline unsigned int br_slots(const struct br_load *load)
{
	return load->batch * load->depth;
}

/* Descriptors they need in the ring. */
unsigned int br_descs(const struct br_load *load, bool indirect);
/* Write the descriptors; the slots' memory is set, nothing is in flight. */
void br_prepare(struct br_queue *q, const struct br_load *load);
/* Publish a batch.  Without random sectors those of the slots are used. */
void br_submit(struct br_queue *q, unsigned int batch, bool random);
/*
 * Take what is back: the number of requests, or -EPROTO for one that was not
 * asked for, -EIO for a bad status or length.  Says which.
 */
int br_reap(struct br_queue *q);

#endif
