/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of vhost_fuzz share: one round, and the threads that make it.
 * All that a thread does comes from its own random numbers, and these from the
 * seed of the round; what is left to chance is how the threads meet.
 */
#ifndef VHOST_FUZZ_H
#define VHOST_FUZZ_H

#include <pthread.h>
#include <stdatomic.h>

#include "vhost_vdpa.h"

#define FUZZ_QUEUES	4
#define FUZZ_OPS	200
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

struct fuzz {
	__u64 seed;
	struct vv_disk disk;
	struct vv_dev dev;
	unsigned int queues;
	atomic_llong end_ms;		/* no operation begins after it */
	const char *backing;		/* path, NULL for RAM */
	/* Of a queue's client side, which is no part of what is fuzzed. */
	pthread_mutex_t lock[FUZZ_QUEUES];
};

struct fuzz_thread {
	struct fuzz *f;
	void (*op)(struct fuzz_thread *t);
	unsigned int index;
	__u64 rng;
	pthread_t id;
};

/* splitmix64 */
static inline __u64 fuzz_next(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* 0..n-1 */
static inline unsigned int pick(struct fuzz_thread *t, unsigned int n)
{
	return fuzz_next(&t->rng) % n;
}

static inline bool percent(struct fuzz_thread *t, unsigned int n)
{
	return pick(t, 100) < n;
}

#define ONE_OF(t, array)	((array)[pick(t, ARRAY_LEN(array))])

/* Features that a driver may choose, with some bits more or less. */
__u64 fuzz_features(struct fuzz_thread *t);
/* A proper start, after a reset; the memory may be anything. */
void fuzz_restart(struct fuzz_thread *t);

/* One operation each. */
void fuzz_ioctl(struct fuzz_thread *t);
void fuzz_iotlb(struct fuzz_thread *t);
void fuzz_ring(struct fuzz_thread *t);
void fuzz_admin(struct fuzz_thread *t);

/* vhost_fuzz_admin.c: disks */
void fuzz_backings_make(void);
void fuzz_backings_free(void);
/* By the seed; t->f->disk.name is set. */
int fuzz_disk_add(struct fuzz_thread *t);
/* Of size and sectors as it was, for the client that comes last. */
void fuzz_disk_repair(struct fuzz *f);
void fuzz_disk_del(struct fuzz *f);
void fuzz_others_del(void);

#endif
