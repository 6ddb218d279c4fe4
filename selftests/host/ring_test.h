/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of rings share: a ring with both sides, of any kind, and a
 * record of what the device does to shared memory.
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

#define RING_FIXTURE(name) \
	FIXTURE(name) \
	{ \
	}; \
	FIXTURE_VARIANT(name) \
	{ \
		struct guest_kind kind; \
	}; \
	FIXTURE_SETUP(name) \
	{ \
		guest_mem_init(&t.mem); \
		guest_ring_alloc(&t.g, RING_NUM, &variant->kind); \
		t.g.ring.indirect = true; \
		guest_ring_start(&t.g, FIRST); \
		t.chain = malloc(sizeof(*t.chain)); \
		ASSERT_NE(NULL, t.chain); \
	} \
	FIXTURE_TEARDOWN(name) \
	{ \
		host_hook = NULL; \
		free(t.chain); \
		guest_ring_free(&t.g); \
		guest_mem_free(&t.mem); \
	} \
	struct __swallow_semicolon

#define RING_KIND(fixture, name, ...) \
	FIXTURE_VARIANT_ADD(fixture, name) { \
		.kind = { __VA_ARGS__ }, \
	}

/* Where a ring begins. */
#define FIRST	(t.g.ring.packed ? GUEST_WRAP : 0)

/* A chain always comes into memory with something in it. */
static inline int pop(void)
{
	memset(t.chain, 0xff, sizeof(*t.chain));
	return vbs_ring_pop(&t.g.ring, &t.mem, t.chain);
}

/* Another ring in place of the fixture's. */
static inline void new_ring(u32 num, u16 base)
{
	struct guest_kind kind = {
		.packed = t.g.ring.packed,
		.in_order = t.g.ring.in_order,
		.event_idx = t.g.ring.event_idx,
		.indirect = true,
	};

	guest_ring_free(&t.g);
	guest_ring_alloc(&t.g, num, &kind);
	guest_ring_start(&t.g, base);
}

/* Offer @head as a chain of one readable descriptor. */
static inline void offer_one(struct guest_ring *g, u16 head)
{
	struct guest_seg seg = { 0x1000 + head, 1 + head, 0 };

	guest_chain(g, head, &seg, 1);
}

/* Give a chain back that has one descriptor, and was completely used. */
static inline void push_one(struct guest_ring *g, u16 head)
{
	struct vbs_buf buf = { .head = head, .nr_descs = 1 };

	vbs_ring_push(&g->ring, &buf, 0);
}

static inline void push(u32 len)
{
	vbs_ring_push(&t.g.ring, &t.chain->buf, len);
}

/*
 * The record: one letter for each access, repeated ones once.
 *   i a f w   avail ring: index, entry, flags, used_event
 *   d         descriptor
 *   u e n v   used ring: index, entry, flags, avail_event
 *   R W M     barriers
 * In a packed ring, x is the flags of a descriptor; f w and n v are flags and
 * place in the driver's and the device's event suppression.
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

static inline char packed_letter(const void *addr)
{
	const struct guest_ring *g = record.g;

	if (inside(addr, g->packed_desc, 16 * g->num))
		return (uintptr_t)addr % 16 == 14 ? 'x' : 'd';
	if (addr == &g->driver->flags)
		return 'f';
	if (addr == &g->driver->off_wrap)
		return 'w';
	if (addr == &g->device->flags)
		return 'n';
	if (addr == &g->device->off_wrap)
		return 'v';
	/* A copy of a descriptor, from an indirect table. */
	return 'c';
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
	char c = !addr ? barriers[what] : record.g->ring.packed ?
		 packed_letter(addr) : letter(addr);

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
