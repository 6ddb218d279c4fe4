/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of ring.c share: a ring with both sides, with and without
 * EVENT_IDX, and a record of what the device does to shared memory.
 */
#ifndef RING_TEST_H
#define RING_TEST_H

#include <kselftest_harness.h>

#include "guest.h"

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

#define RING_NUM	16

/* Each test runs in a process of its own. */
static struct {
	struct vbs_mem mem;
	struct guest_ring g;
	struct vbs_chain *chain;
} t;

FIXTURE(ring)
{
};

FIXTURE_VARIANT(ring)
{
	bool event_idx;
};

FIXTURE_VARIANT_ADD(ring, plain) {
	.event_idx = false,
};

FIXTURE_VARIANT_ADD(ring, event_idx) {
	.event_idx = true,
};

FIXTURE_SETUP(ring)
{
	guest_mem_init(&t.mem);
	guest_ring_alloc(&t.g, RING_NUM, variant->event_idx, true);
	guest_ring_start(&t.g, 0);
	t.chain = malloc(sizeof(*t.chain));
	ASSERT_NE(NULL, t.chain);
}

FIXTURE_TEARDOWN(ring)
{
	host_hook = NULL;
	free(t.chain);
	guest_ring_free(&t.g);
	guest_mem_free(&t.mem);
}

/* A chain always comes into memory with something in it. */
static inline int pop(void)
{
	memset(t.chain, 0xff, sizeof(*t.chain));
	return vbs_ring_pop(&t.g.ring, &t.mem, t.chain);
}

/* Another ring in place of the fixture's. */
static inline void new_ring(u32 num, u16 base)
{
	bool event_idx = t.g.ring.event_idx;

	guest_ring_free(&t.g);
	guest_ring_alloc(&t.g, num, event_idx, true);
	guest_ring_start(&t.g, base);
}

/* Offer @head as a chain of one readable descriptor. */
static inline void offer_one(struct guest_ring *g, u16 head)
{
	guest_desc(&g->desc[head], 0x1000 + head, 1 + head, 0, 0xffff);
	guest_offer(g, head);
}

/*
 * The record: one letter for each access, repeated ones once.
 *   i a f w   avail ring: index, entry, flags, used_event
 *   d         descriptor
 *   u e n v   used ring: index, entry, flags, avail_event
 *   R W M     barriers
 * @at is the letter at which @act plays the driver, once.
 */
static struct {
	struct guest_ring *g;
	char seen[64];
	unsigned int len;
	char at;
	void (*act)(struct guest_ring *g);
} record;

static inline bool inside(const void *addr, const void *from, size_t len)
{
	return (uintptr_t)addr - (uintptr_t)from < len;
}

static inline char letter(const void *addr)
{
	const struct guest_ring *g = record.g;

	if (inside(addr, g->desc, 16 * g->num))
		return 'd';
	if (addr == &g->avail->flags)
		return 'f';
	if (addr == &g->avail->idx)
		return 'i';
	if (inside(addr, g->avail->ring, 2 * g->num))
		return 'a';
	if (addr == &g->avail->ring[g->num])
		return 'w';
	if (addr == &g->used->flags)
		return 'n';
	if (addr == &g->used->idx)
		return 'u';
	if (inside(addr, g->used->ring, 8 * g->num))
		return 'e';
	if (addr == (void *)&g->used->ring[g->num])
		return 'v';
	/* A copy of a descriptor, from an indirect table. */
	return 'c';
}

static inline void record_hook(enum host_access what, const void *addr,
			       size_t len)
{
	static const char barriers[] = {
		[HOST_RMB] = 'R', [HOST_WMB] = 'W', [HOST_MB] = 'M',
	};
	char c = addr ? letter(addr) : barriers[what];

	(void)len;
	/* The device's own. */
	if (addr && inside(addr, &record.g->ring, sizeof(record.g->ring)))
		return;
	if ((!record.len || record.seen[record.len - 1] != c) &&
	    record.len + 1 < sizeof(record.seen))
		record.seen[record.len++] = c;
	if (c == record.at && record.act) {
		record.at = 0;
		record.act(record.g);
	}
}

static inline void record_start(struct guest_ring *g)
{
	memset(&record, 0, sizeof(record));
	record.g = g;
	host_hook = record_hook;
}

static inline const char *record_stop(void)
{
	host_hook = NULL;
	return record.seen;
}

#endif
