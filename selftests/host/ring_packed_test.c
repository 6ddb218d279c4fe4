// SPDX-License-Identifier: GPL-2.0-only
/* Packed rings with a driver that does not behave, and what only they have. */
#include <stdlib.h>
#include <string.h>

#include "ring_test.h"

#define TABLE_MAX	1024

RING_FIXTURE(packed);
RING_KIND(packed, plain, .packed = true);
RING_KIND(packed, event_idx, .packed = true, .event_idx = true);

static struct vring_packed_desc *desc_at(u16 pos)
{
	return &t.g.packed_desc[pos & ~GUEST_WRAP];
}

static void set_flags(u16 pos, u16 flags)
{
	desc_at(pos)->flags = cpu_to_le16(flags);
}

/* Offer a table of readable descriptors, with ID @id. */
static struct vring_packed_desc *offer_table(u16 id, u32 num)
{
	u64 iova = guest_alloc(&t.mem, 16 * num, 16);
	struct vring_packed_desc *table = guest_ptr(&t.mem, iova);
	struct guest_seg seg = { iova, 16 * num, INDIRECT };
	u32 i;

	for (i = 0; i < num; i++)
		guest_packed_desc(&table[i], i, i + 1, ~id, 0);
	guest_chain(&t.g, id, &seg, 1);
	return table;
}

static void bad_loop(void)
{
	static struct guest_seg segs[RING_NUM] = { { 1, 1, 0 }, { 1, 1, 0 } };

	guest_chain(&t.g, 2, segs, RING_NUM);
}

static void bad_order(void)
{
	static const struct guest_seg segs[] = { { 1, 1, WRITE }, { 1, 1, 0 } };

	guest_chain(&t.g, 2, segs, 2);
}

static void bad_indirect_feature(void)
{
	offer_table(2, 1);
	t.g.ring.indirect = false;
}

static void bad_indirect_flags(void)
{
	u16 pos = t.g.next;

	offer_table(2, 1);
	set_flags(pos, INDIRECT | NEXT | guest_avail_flags(pos));
	offer_one(&t.g, 3);
}

static void bad_indirect_in_list(void)
{
	struct guest_seg segs[2] = { { 1, 1, 0 }, { GUEST_BASE, 16, INDIRECT } };

	guest_chain(&t.g, 2, segs, 2);
}

static void bad_indirect_len(void)
{
	u16 pos = t.g.next;

	offer_table(2, 1);
	desc_at(pos)->len = cpu_to_le32(17);
}

static void bad_indirect_fault(void)
{
	offer_table(2, 1);
	guest_map(&t.mem, GUEST_BASE, GUEST_SIZE, false);
}

static void bad_table_order(void)
{
	struct vring_packed_desc *table = offer_table(2, 2);

	table[0].flags = cpu_to_le16(WRITE);
}

static const struct {
	int err;
	void (*spoil)(void);
} bad[] = {
	{ VBS_RING_LOOP, bad_loop },
	{ VBS_RING_ORDER, bad_order },
	{ VBS_RING_INDIRECT_FEATURE, bad_indirect_feature },
	{ VBS_RING_INDIRECT_FLAGS, bad_indirect_flags },
	{ VBS_RING_INDIRECT_FLAGS, bad_indirect_in_list },
	{ VBS_RING_INDIRECT_LEN, bad_indirect_len },
	{ VBS_RING_INDIRECT_FAULT, bad_indirect_fault },
	{ VBS_RING_ORDER, bad_table_order },
};

/*
 * Each error is found behind a good chain, takes nothing, and is forgotten when
 * the driver has repaired the ring.
 */
TEST_F(packed, each_error)
{
	struct vring_packed_desc before[RING_NUM];
	struct guest_ring *g = &t.g;
	u16 start = RING_NUM - 1;
	unsigned int i;
	u32 base;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_mem_reset(&t.mem);
		ASSERT_EQ(0, guest_ring_start(g, start));
		g->ring.indirect = true;
		offer_one(g, 1);
		ASSERT_EQ(1, pop());
		base = vbs_ring_base(&g->ring);
		ASSERT_EQ(start << 16 | GUEST_WRAP, base);

		bad[i].spoil();
		memcpy(before, g->packed_desc, sizeof(before));
		ASSERT_EQ(-bad[i].err, pop())
			TH_LOG("%u: wanted: %s", i,
			       vbs_ring_strerror(-bad[i].err));
		ASSERT_EQ(-bad[i].err, pop());
		EXPECT_EQ(base, vbs_ring_base(&g->ring));
		EXPECT_FALSE(vbs_ring_publish(&g->ring));
		EXPECT_EQ(0, memcmp(before, g->packed_desc, sizeof(before)));

		g->next = GUEST_WRAP;
		offer_one(g, 0);
		ASSERT_EQ(1, pop()) TH_LOG("after error %d", bad[i].err);
		EXPECT_EQ(0, t.chain->buf.head);
		EXPECT_EQ(1, t.chain->nr_out);
		EXPECT_EQ(base + 1, vbs_ring_base(&g->ring));
	}
}

/* Only AVAIL unlike USED, and AVAIL like the wrap counter, is available. */
TEST_F(packed, availability)
{
	struct guest_ring *g = &t.g;
	u32 flags;
	u16 wrap;

	for (wrap = 0; wrap < 2; wrap++) {
		for (flags = 0; flags <= 0xffff; flags++) {
			guest_ring_start(g, wrap ? GUEST_WRAP : 0);
			guest_packed_desc(&g->packed_desc[0], 1, 1, 0,
					  flags & ~(NEXT | INDIRECT));
			ASSERT_EQ((flags >> 7 & 1) == wrap &&
				  flags >> 15 != wrap, pop())
				TH_LOG("flags 0x%x wrap %u", flags, wrap);
		}
	}
}

/* The buffer's ID is the driver's own: any number comes back. */
TEST_F(packed, ids)
{
	u32 id, got, len;

	for (id = 0; id <= 0xffff; id++) {
		offer_one(&t.g, id);
		ASSERT_EQ(1, pop());
		ASSERT_EQ(id, t.chain->buf.head);
		push(id + 1);
		vbs_ring_publish(&t.g.ring);
		ASSERT_TRUE(guest_get_used(&t.g, &got, &len));
		ASSERT_EQ(id, got);
		ASSERT_EQ(id + 1, len);
	}
}

/* Sizes that are no power of two, chains of all lengths, over the end. */
TEST_F(packed, any_size)
{
	static struct guest_seg segs[24];
	struct guest_ring *g = &t.g;
	u32 num, n, i, id, len, round;

	for (i = 0; i < 24; i++)
		segs[i] = (struct guest_seg) { i, i + 1, 0 };
	for (num = 1; num <= 24; num++) {
		new_ring(num, FIRST);
		for (round = 0; round < 5 * num; round++) {
			n = round % num + 1;
			guest_chain(g, round, segs, n);
			ASSERT_EQ(1, pop()) TH_LOG("num %u n %u", num, n);
			ASSERT_EQ(round, t.chain->buf.head);
			ASSERT_EQ(n, t.chain->buf.nr_descs);
			ASSERT_EQ(n, t.chain->nr_out);
			for (i = 0; i < n; i++)
				ASSERT_EQ(i, t.chain->segs[i].iova);
			push(1);
			ASSERT_EQ(0, pop());
			vbs_ring_publish(&g->ring);
			ASSERT_TRUE(guest_get_used(g, &id, &len));
			ASSERT_EQ(round, id);
			ASSERT_EQ(g->next, g->last_used);
			ASSERT_EQ(g->next * 0x10001U, vbs_ring_base(&g->ring));
		}
	}
}

/*
 * Never more at work than the ring has descriptors, whatever is shown as
 * available: a chain may have what is left, and no more.
 */
TEST_F(packed, descriptors_at_work)
{
	static struct guest_seg segs[RING_NUM];
	struct guest_ring *g = &t.g;
	u32 first, n;
	u16 pos;

	for (n = 0; n < RING_NUM; n++)
		segs[n] = (struct guest_seg) { n, 1, 0 };
	for (first = 1; first <= RING_NUM; first++) {
		for (n = 1; n <= RING_NUM; n++) {
			guest_ring_start(g, 5);
			guest_chain(g, 0, segs, first);
			ASSERT_EQ(1, pop());
			guest_chain(g, 1, segs, n);
			ASSERT_EQ(first == RING_NUM ? -VBS_RING_FULL :
				  first + n > RING_NUM ? -VBS_RING_LOOP : 1,
				  pop())
				TH_LOG("%u and %u", first, n);
		}
	}
	/* There is room again as soon as one was given back. */
	guest_ring_start(g, 5);
	for (n = 0; n < RING_NUM; n++) {
		offer_one(g, n);
		ASSERT_EQ(1, pop());
	}
	ASSERT_EQ(0, pop());
	pos = g->next;
	offer_one(g, 0);
	EXPECT_EQ(-VBS_RING_FULL, pop());
	push_one(g, 0);
	EXPECT_EQ(1, pop());
	set_flags(pos + 1, guest_avail_flags(pos + 1));
	EXPECT_EQ(-VBS_RING_FULL, pop());
}

/* What can be a state: places in the ring, no more than its size apart. */
TEST_F(packed, states)
{
	static const u16 nums[] = { 1, 2, 7, 16 };
	u32 i, a, u, num;
	bool valid;
	u16 pos;

	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		num = nums[i];
		new_ring(num, FIRST);
		for (a = 0; a < 0x20000; a += a % 0x8000 < 40 ? 1 : 997) {
			for (u = 0; u < 2 * 20; u++) {
				u16 avail = a;
				u16 used = (u % 20) | (u < 20 ? 0 : GUEST_WRAP);
				u32 ahead = 0;

				valid = (avail & ~GUEST_WRAP) < num &&
					(used & ~GUEST_WRAP) < num;
				for (pos = used; valid && pos != avail; ahead++)
					pos = guest_pos_next(&t.g, pos);
				valid = valid && ahead <= num;
				ASSERT_EQ(valid ? 0 : -VBS_RING_STATE,
					  vbs_ring_init(&t.g.ring,
							(u32)used << 16 | avail))
					TH_LOG("num %u: 0x%x, 0x%x", num,
					       avail, used);
				if (valid)
					ASSERT_EQ((u32)used << 16 | avail,
						  vbs_ring_base(&t.g.ring));
			}
		}
	}
}

/* The flags of the first used one are what shows them all. */
TEST_F(packed, first_flags_last)
{
	struct guest_ring *g = &t.g;
	u32 id, len, i;
	u16 first;

	for (i = 0; i < 3; i++)
		offer_one(g, i);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, pop());
		first = g->packed_desc[0].flags;
		push(i);
		EXPECT_EQ(first, g->packed_desc[0].flags);
	}
	/* Those behind it are ready, in this turn of the ring. */
	for (i = 1; i < 3; i++)
		EXPECT_EQ(guest_used_flags(GUEST_WRAP) | WRITE,
			  le16_to_cpu(g->packed_desc[i].flags));
	EXPECT_FALSE(guest_get_used(g, &id, &len));
	vbs_ring_publish(&g->ring);
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(guest_get_used(g, &id, &len));
		EXPECT_EQ(i, id);
		EXPECT_EQ(i, len);
	}
	/* Nothing written: WRITE is not set. */
	EXPECT_EQ(guest_used_flags(GUEST_WRAP),
		  le16_to_cpu(g->packed_desc[0].flags));
}

/* A place is nothing to compare with when EVENT_IDX was not negotiated. */
TEST_F(packed, event_of_a_place)
{
	struct guest_ring *g = &t.g;
	u32 i, id, len;

	g->driver->flags = cpu_to_le16(2);
	g->driver->off_wrap = cpu_to_le16(GUEST_WRAP | 9);
	for (i = 0; i < 12; i++) {
		offer_one(g, 1);
		ASSERT_EQ(1, pop());
		push(0);
		EXPECT_EQ(!variant->kind.event_idx || i == 9,
			  vbs_ring_publish(&g->ring)) TH_LOG("%u", i);
		ASSERT_TRUE(guest_get_used(g, &id, &len));
	}
}

/* Any place, also one that is none. */
TEST_F(packed, event_of_no_place)
{
	struct guest_ring *g = &t.g;
	u32 event, id, len;

	for (event = 0; event <= 0xffff; event++) {
		guest_ring_start(g, GUEST_WRAP | 14);
		offer_one(g, 1);
		ASSERT_EQ(1, pop());
		push(0);
		vbs_ring_publish(&g->ring);
		ASSERT_TRUE(guest_get_used(g, &id, &len));
		offer_one(g, 1);
		ASSERT_EQ(1, pop());
		push(0);
		g->driver->flags = cpu_to_le16(2);
		g->driver->off_wrap = cpu_to_le16(event);
		ASSERT_EQ(!variant->kind.event_idx ||
			  event == (GUEST_WRAP | 15),
			  vbs_ring_publish(&g->ring))
			TH_LOG("event 0x%x", event);
	}
}

/* ---- indirect tables ---- */

/* Each descriptor is read once, and nothing behind the table. */
TEST_F(packed, indirect_lengths)
{
	struct vbs_mem *mem = &t.mem;
	u32 num, i;

	for (num = 1; num <= TABLE_MAX; num++) {
		guest_mem_reset(mem);
		guest_ring_start(&t.g, FIRST);
		guest_alloc(mem, GUEST_SIZE - 16 * num, 1);
		offer_table(3, num);

		ASSERT_EQ(1, pop()) TH_LOG("num %u", num);
		EXPECT_EQ(3, t.chain->buf.head);
		EXPECT_EQ(1, t.chain->buf.nr_descs);
		ASSERT_EQ(num, t.chain->nr_out);
		EXPECT_EQ(0, t.chain->nr_in);
		for (i = 0; i < num; i++) {
			ASSERT_EQ(i, t.chain->segs[i].iova);
			ASSERT_EQ(i + 1, t.chain->segs[i].len);
		}
		EXPECT_EQ(0, mem->nr_again);
		EXPECT_LE(14 * num, mem->nr_bytes);
		EXPECT_EQ(GUEST_BASE + GUEST_SIZE, mem->end);
	}
}

TEST_F(packed, indirect_lens)
{
	u32 len, max = 16 * TABLE_MAX;
	struct guest_seg seg = { GUEST_BASE, 0, INDIRECT };

	memset(guest_ptr(&t.mem, GUEST_BASE), 0, max + 48);
	for (len = 0; len <= max + 40; len++) {
		guest_ring_start(&t.g, FIRST);
		seg.len = len;
		guest_chain(&t.g, 0, &seg, 1);
		ASSERT_EQ(len && len <= max && len % 16 == 0 ?
			  1 : -VBS_RING_INDIRECT_LEN, pop())
			TH_LOG("length %u", len);
	}
	for (len = 1U << 15; len; len *= 2) {
		guest_ring_start(&t.g, FIRST);
		seg.len = 0 - len;
		guest_chain(&t.g, 0, &seg, 1);
		ASSERT_EQ(-VBS_RING_INDIRECT_LEN, pop());
	}
}

/* Only WRITE counts in a table, and not in the descriptor that has it. */
TEST_F(packed, indirect_flags)
{
	struct vring_packed_desc *table;
	u32 flags;

	for (flags = 0; flags <= 0xffff; flags++) {
		guest_mem_reset(&t.mem);
		guest_ring_start(&t.g, FIRST);
		table = offer_table(0, 2);
		desc_at(FIRST)->flags |= cpu_to_le16(WRITE);
		table[0].flags = cpu_to_le16(flags & ~WRITE);
		table[1].flags = cpu_to_le16(flags);
		ASSERT_EQ(1, pop()) TH_LOG("flags 0x%x", flags);
		ASSERT_EQ(flags & WRITE ? 1 : 2, t.chain->nr_out);
		ASSERT_EQ(flags & WRITE ? 1 : 0, t.chain->nr_in);
	}
}

TEST_F(packed, indirect_faults)
{
	u32 page, pages = 16 * TABLE_MAX / GUEST_PAGE;
	struct guest_seg seg = { ~0ULL - 15, 16, INDIRECT };

	for (page = 0; page <= pages; page++) {
		guest_mem_reset(&t.mem);
		guest_ring_start(&t.g, FIRST);
		offer_table(0, TABLE_MAX);
		t.mem.mapped[page] = false;
		ASSERT_EQ(page == pages ? 1 : -VBS_RING_INDIRECT_FAULT,
			  pop());
	}
	/* At the end of all addresses. */
	guest_ring_start(&t.g, FIRST);
	guest_chain(&t.g, 0, &seg, 1);
	EXPECT_EQ(-VBS_RING_INDIRECT_FAULT, pop());
}

/* ---- a driver that changes everything as soon as it was read ---- */

static void change_hook(enum host_access what, const void *addr, size_t len)
{
	if (what == HOST_READ && !inside(addr, &t.g.ring, sizeof(t.g.ring)))
		memset((void *)addr, 0x55, len);
}

static void change_read(struct vbs_mem *mem, u64 iova, u32 len)
{
	memset(guest_ptr(mem, iova), 0x55, len);
}

TEST_F(packed, changed_while_read)
{
	struct guest_ring *g = &t.g;
	struct guest_seg segs[4];
	u32 i, n;

	for (n = 0; n < 3; n++) {
		for (i = 0; i < 4; i++)
			segs[i] = (struct guest_seg) {
				100 * n + i, i + 1, i > 1 ? WRITE : 0
			};
		guest_chain(g, 4 * n, segs, 4);
	}
	offer_table(15, 100);
	t.mem.after_read = change_read;

	host_hook = change_hook;
	for (n = 0; n < 3; n++) {
		ASSERT_EQ(1, pop());
		EXPECT_EQ(4 * n, t.chain->buf.head);
		EXPECT_EQ(4, t.chain->buf.nr_descs);
		ASSERT_EQ(2, t.chain->nr_out);
		ASSERT_EQ(2, t.chain->nr_in);
		for (i = 0; i < 4; i++) {
			EXPECT_EQ(100 * n + i, t.chain->segs[i].iova);
			EXPECT_EQ(i + 1, t.chain->segs[i].len);
		}
	}
	ASSERT_EQ(1, pop());
	EXPECT_EQ(15, t.chain->buf.head);
	ASSERT_EQ(100, t.chain->nr_out);
	for (i = 0; i < 100; i++)
		EXPECT_EQ(i, t.chain->segs[i].iova);
	host_hook = NULL;
}

TEST_HARNESS_MAIN
