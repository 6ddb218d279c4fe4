// SPDX-License-Identifier: GPL-2.0-only
/* Rings of every kind with a driver that behaves: chains, notifications. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ring_test.h"

RING_FIXTURE(ring);
RING_KIND(ring, split, .event_idx = false);
RING_KIND(ring, split_event_idx, .event_idx = true);
RING_KIND(ring, split_in_order, .in_order = true, .event_idx = true);
RING_KIND(ring, packed, .packed = true);
RING_KIND(ring, packed_event_idx, .packed = true, .event_idx = true);
RING_KIND(ring, packed_in_order, .packed = true, .in_order = true);
RING_KIND(ring, packed_in_order_event_idx, .packed = true, .in_order = true,
	  .event_idx = true);

TEST(valid_num)
{
	u32 num;

	for (num = 0; num <= 4096; num++) {
		EXPECT_EQ(num && num <= 1024 && __builtin_popcount(num) == 1,
			  vbs_ring_valid_num(num, false))
			TH_LOG("num %u", num);
		EXPECT_EQ(num && num <= 1024, vbs_ring_valid_num(num, true))
			TH_LOG("num %u", num);
	}
	EXPECT_FALSE(vbs_ring_valid_num(1U << 16, false));
	EXPECT_FALSE(vbs_ring_valid_num(1U << 31, false));
	EXPECT_FALSE(vbs_ring_valid_num((1U << 16) + 1, true));
	EXPECT_FALSE(vbs_ring_valid_num(~0U, true));
}

TEST(area_sizes)
{
	struct vbs_ring r = {};
	u32 num;

	for (num = 1; num <= 1024; num *= 2) {
		r.num = num;
		r.packed = false;
		EXPECT_EQ(16 * num, vbs_ring_desc_size(&r));
		r.event_idx = false;
		EXPECT_EQ(4 + 2 * num, vbs_ring_avail_size(&r));
		EXPECT_EQ(4 + 8 * num, vbs_ring_used_size(&r));
		r.event_idx = true;
		EXPECT_EQ(6 + 2 * num, vbs_ring_avail_size(&r));
		EXPECT_EQ(6 + 8 * num, vbs_ring_used_size(&r));
		r.packed = true;
		EXPECT_EQ(16 * num, vbs_ring_desc_size(&r));
		EXPECT_EQ(4, vbs_ring_avail_size(&r));
		EXPECT_EQ(4, vbs_ring_used_size(&r));
	}
}

TEST(strerror_of_each)
{
	int i, j;

	for (i = 1; i < VBS_RING_NR_ERRORS; i++) {
		ASSERT_NE(NULL, vbs_ring_strerror(-i));
		EXPECT_STRNE("unknown", vbs_ring_strerror(-i));
		for (j = 1; j < i; j++)
			EXPECT_STRNE(vbs_ring_strerror(-j),
				     vbs_ring_strerror(-i));
	}
	EXPECT_STREQ("unknown", vbs_ring_strerror(0));
	EXPECT_STREQ("unknown", vbs_ring_strerror(1));
	EXPECT_STREQ("unknown", vbs_ring_strerror(INT_MAX));
	EXPECT_STREQ("unknown", vbs_ring_strerror(-VBS_RING_NR_ERRORS));
	EXPECT_STREQ("unknown", vbs_ring_strerror(-INT_MAX));
}

TEST_F(ring, empty)
{
	u32 base = vbs_ring_base(&t.g.ring);

	EXPECT_EQ(vbs_ring_first_base(t.g.ring.packed), base);
	EXPECT_EQ(0, pop());
	EXPECT_EQ(base, vbs_ring_base(&t.g.ring));
	offer_one(&t.g, 3);
	EXPECT_EQ(1, pop());
	EXPECT_EQ(0, pop());
	EXPECT_EQ(0, pop());
	EXPECT_EQ(base + 1, vbs_ring_base(&t.g.ring));
}

TEST_F(ring, segments)
{
	static const struct guest_seg segs[] = {
		{ 0x1111222233334444ULL, 0x55667788, 0 },
		{ ~0ULL, ~0U, 0 },
		{ 0, 1, WRITE },
		{ 5, 0xfffffff8, WRITE },
	};
	struct vbs_chain *chain = t.chain;
	u32 i;

	guest_chain(&t.g, 7, segs, ARRAY_SIZE(segs));
	ASSERT_EQ(1, pop());
	EXPECT_EQ(7, chain->buf.head);
	EXPECT_EQ(0xfffffff9, chain->buf.in_len);
	ASSERT_EQ(2, chain->nr_out);
	ASSERT_EQ(2, chain->nr_in);
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		EXPECT_EQ(segs[i].iova, chain->segs[i].iova);
		EXPECT_EQ(segs[i].len, chain->segs[i].len);
	}
	if (t.g.ring.packed)
		EXPECT_EQ(4, chain->buf.nr_descs);
	/* Nothing of this needs the client's other memory. */
	EXPECT_EQ(0, t.mem.nr_reads);
}

/* Flags the specification does not know have no meaning here. */
TEST_F(ring, unknown_flags)
{
	struct guest_seg seg = { 1, 1, 0x7f78 };

	guest_chain(&t.g, 0, &seg, 1);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(1, t.chain->nr_out);
	EXPECT_EQ(0, t.chain->nr_in);
}

TEST_F(ring, empty_descriptors)
{
	static const struct guest_seg segs[] = {
		{ 1, 0, 0 },
		{ 2, 20, WRITE },
		/* In the wrong order, but with nothing in it. */
		{ 3, 0, 0 },
		{ 4, 40, WRITE },
		{ 5, 0, WRITE },
	};

	guest_chain(&t.g, 0, segs, ARRAY_SIZE(segs));
	ASSERT_EQ(1, pop());
	EXPECT_EQ(0, t.chain->nr_out);
	ASSERT_EQ(2, t.chain->nr_in);
	EXPECT_EQ(60, t.chain->buf.in_len);
	EXPECT_EQ(2, t.chain->segs[0].iova);
	EXPECT_EQ(4, t.chain->segs[1].iova);

	guest_chain(&t.g, 5, segs, 1);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(5, t.chain->buf.head);
	EXPECT_EQ(0, t.chain->nr_out);
	EXPECT_EQ(0, t.chain->nr_in);
}

TEST_F(ring, all_descriptors_in_one_chain)
{
	static struct guest_seg segs[1024];
	u32 num, i, id, len;

	for (i = 0; i < 1024; i++)
		segs[i] = (struct guest_seg) { i + 1, i + 1, 0 };
	for (num = 1; num <= 1024; num *= 2) {
		new_ring(num, FIRST);
		guest_chain(&t.g, 0, segs, num);
		ASSERT_EQ(1, pop()) TH_LOG("num %u", num);
		ASSERT_EQ(num, t.chain->nr_out);
		for (i = 0; i < num; i++)
			ASSERT_EQ(i + 1, t.chain->segs[i].iova);
		push(0);
		vbs_ring_publish(&t.g.ring);
		ASSERT_TRUE(guest_get_used(&t.g, &id, &len));
		ASSERT_EQ(0, id);
		ASSERT_EQ(0, pop());
	}
}

/*
 * Take @n chains that stand for the numbers from @first on, and answer them,
 * last one first unless they have an order; false when anything is not as it
 * should be.
 */
static bool serve(u16 first, u32 n)
{
	struct guest_ring *g = &t.g;
	u32 i, which, id, len;

	for (i = 0; i < n; i++)
		offer_one(g, (first + i) * 7 % g->num);
	for (i = 0; i < n; i++) {
		if (pop() != 1 ||
		    t.chain->buf.head != (u16)(first + i) * 7 % g->num ||
		    t.chain->segs[0].iova != 0x1000U + t.chain->buf.head)
			return false;
	}
	if (pop())
		return false;

	for (i = 0; i < n; i++) {
		struct vbs_buf buf = { .nr_descs = 1, .in_len = ~0ULL };

		which = (u16)(first + (g->ring.in_order ? i : n - 1 - i));
		buf.head = which * 7 % g->num;
		vbs_ring_push(&g->ring, &buf, which);
		if (!i && guest_get_used(g, &id, &len))
			return false;
	}
	vbs_ring_publish(&g->ring);
	for (i = 0; i < n; i++) {
		which = (u16)(first + (g->ring.in_order ? i : n - 1 - i));
		if (!guest_get_used(g, &id, &len) ||
		    id != which * 7 % g->num || len != which)
			return false;
	}
	return !guest_get_used(g, &id, &len);
}

/* Every size, batches of every size, indices past their end. */
TEST_F(ring, turns)
{
	u32 num, n, done, limit;
	u16 first;

	for (num = 1; num <= 1024; num *= 2) {
		/* A multiple of its size: the numbers wrap with the IDs. */
		first = 0 - num - num / 2;
		new_ring(num, t.g.ring.packed ? num / 2 : first);
		limit = num == 64 ? 3 << 16 : 8 * num;
		for (done = 0, n = 1; done < limit; n = n % num + 1) {
			ASSERT_TRUE(serve(first + done, n))
				TH_LOG("num %u after %u, %u at once", num,
				       done, n);
			done += n;
		}
		if (!t.g.ring.packed)
			ASSERT_EQ((u16)(first + done),
				  vbs_ring_base(&t.g.ring));
	}
}

TEST_F(ring, push_is_not_publish)
{
	struct guest_ring *g = &t.g;
	u32 id, len;

	offer_one(g, 5);
	ASSERT_EQ(1, pop());
	EXPECT_FALSE(vbs_ring_publish(&g->ring));
	push(0x12345678);
	EXPECT_FALSE(guest_get_used(g, &id, &len));
	vbs_ring_publish(&g->ring);
	ASSERT_TRUE(guest_get_used(g, &id, &len));
	EXPECT_EQ(5, id);
	EXPECT_EQ(0x12345678, len);
	/* The entry behind it is still the driver's. */
	EXPECT_FALSE(guest_get_used(g, &id, &len));
}

/* All accesses of one request: see the letters in ring_test.h. */
TEST_F(ring, order_of_accesses)
{
	struct guest_ring *g = &t.g;
	bool event_idx = variant->kind.event_idx;
	bool packed = variant->kind.packed;

	guest_want_interrupt(g, 0);
	offer_one(g, 2);
	offer_one(g, 3);
	record_start(g);
	ASSERT_EQ(1, pop());
	push(1);
	vbs_ring_publish(&g->ring);
	EXPECT_STREQ(packed ? event_idx ? "xRdWxMfRw" : "xRdWxMf" :
		     event_idx ? "iRadeWuM" : "iRadeWuMf", record_stop());

	record_start(g);
	ASSERT_EQ(1, pop());
	EXPECT_STREQ(packed ? "xRd" : "ad", record_stop());
	push(0);
	record_start(g);
	vbs_ring_publish(&g->ring);
	EXPECT_STREQ(packed ? event_idx ? "WxMfRw" : "WxMf" :
		     event_idx ? "WuMw" : "WuMf", record_stop());

	record_start(g);
	vbs_ring_publish(&g->ring);
	EXPECT_STREQ("", record_stop());

	record_start(g);
	vbs_ring_enable_kick(&g->ring);
	EXPECT_STREQ(packed ? event_idx ? "vWnMx" : "nMx" :
		     event_idx ? "vMi" : "nMi", record_stop());

	record_start(g);
	vbs_ring_disable_kick(&g->ring);
	EXPECT_STREQ(packed || !event_idx ? "n" : "", record_stop());
}

/* Begin again anywhere: with other numbers, and with chains left over. */
TEST_F(ring, restart)
{
	struct guest_ring *g = &t.g;
	u32 base, id, len;
	u16 i;

	for (i = 0; i < 6; i++)
		offer_one(g, i);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(1, pop());
	push_one(g, 0);
	EXPECT_TRUE(vbs_ring_publish(&g->ring));
	ASSERT_TRUE(guest_get_used(g, &id, &len));
	base = vbs_ring_base(&g->ring);
	push_one(g, 1);

	/* As if only the published one had been taken. */
	base = variant->kind.packed ? base >> 16 | (base & ~0xffffU) : 1;
	ASSERT_EQ(0, vbs_ring_init(&g->ring, base));
	EXPECT_FALSE(vbs_ring_publish(&g->ring));
	for (i = 1; i < 6; i++) {
		ASSERT_EQ(1, pop());
		EXPECT_EQ(i, t.chain->buf.head);
		push(0);
	}
	EXPECT_EQ(0, pop());
	EXPECT_TRUE(vbs_ring_publish(&g->ring));
	for (i = 1; i < 6; i++) {
		ASSERT_TRUE(guest_get_used(g, &id, &len));
		EXPECT_EQ(i, id);
	}

	ASSERT_EQ(0, vbs_ring_init(&g->ring, vbs_ring_base(&g->ring)));
	EXPECT_TRUE(serve(6, 15));
	new_ring(RING_NUM, variant->kind.packed ? RING_NUM - 1 : 0xffff);
	EXPECT_TRUE(serve(0, 3));
	EXPECT_EQ(variant->kind.packed ? 0x80028002 : 2,
		  vbs_ring_base(&g->ring));
}

/* ---- interrupts ---- */

/*
 * Interrupts are on until the driver says something else.  With EVENT_IDX the
 * flags of a split ring have no meaning.
 */
TEST_F(ring, no_interrupt_flag)
{
	struct guest_ring *g = &t.g;
	u32 flags, id, len;
	bool wanted;

	for (flags = 0; flags <= 0xffff; flags++) {
		offer_one(g, 3);
		ASSERT_EQ(1, pop());
		guest_want_interrupt(g, 0);
		wanted = variant->kind.packed ? flags != 1 :
			 variant->kind.event_idx || !(flags & 1);
		if (variant->kind.packed)
			g->driver->flags = cpu_to_le16(flags);
		else
			g->avail->flags = to16(flags);
		ASSERT_FALSE(vbs_ring_publish(&g->ring));
		push(0);
		ASSERT_EQ(wanted, vbs_ring_publish(&g->ring))
			TH_LOG("flags 0x%x", flags);
		ASSERT_TRUE(guest_get_used(g, &id, &len));
	}
}

/*
 * A used_event may be from before: the first publish always signals.  A place in
 * a packed ring is what it is.
 */
TEST_F(ring, first_interrupt)
{
	bool places = variant->kind.event_idx;
	struct guest_ring *g = &t.g;
	u32 id, len;
	u16 ahead;

	for (ahead = 0; ahead < 12; ahead++) {
		guest_ring_start(g, FIRST + 2);
		guest_want_interrupt(g, ahead);
		ASSERT_FALSE(vbs_ring_publish(&g->ring));
		offer_one(g, 1);
		ASSERT_EQ(1, pop());
		push(0);
		ASSERT_EQ(!variant->kind.packed || !places || !ahead,
			  vbs_ring_publish(&g->ring));
		offer_one(g, 2);
		ASSERT_EQ(1, pop());
		push(0);
		ASSERT_EQ(!places || ahead == 1, vbs_ring_publish(&g->ring));
		ASSERT_TRUE(guest_get_used(g, &id, &len));
	}
}

/*
 * With EVENT_IDX: when the place is one of those that were just published, in
 * each of two turns.
 */
TEST_F(ring, wanted_interrupts)
{
	bool places = variant->kind.event_idx;
	struct guest_ring *g = &t.g;
	u32 start, ahead, n, i, id, len;

	for (start = 0; start < 2 * RING_NUM; start++) {
		for (n = 1; n < RING_NUM; n++) {
			for (ahead = 0; ahead < 2 * RING_NUM - 1; ahead++) {
				guest_ring_start(g, FIRST);
				g->last_used = guest_pos_add(g, FIRST, start);
				guest_ring_start(g, g->ring.packed ?
						 g->last_used : 0xfff0 + start);
				ASSERT_TRUE(serve(start, 1));

				guest_want_interrupt(g, ahead);
				for (i = 0; i < n; i++) {
					offer_one(g, i);
					ASSERT_EQ(1, pop());
					push(0);
				}
				ASSERT_EQ(!places || ahead < n,
					  vbs_ring_publish(&g->ring))
					TH_LOG("%u at %u, wanted at +%u", n,
					       start, ahead);
				ASSERT_FALSE(vbs_ring_publish(&g->ring));
				for (i = 0; i < n; i++)
					ASSERT_TRUE(guest_get_used(g, &id,
								   &len));
			}
		}
	}
}

static void want_interrupt(struct guest_ring *g)
{
	guest_want_interrupt(g, 0);
}

/* The driver asks at the last moment that still has to be noticed. */
TEST_F(ring, interrupt_race)
{
	struct guest_ring *g = &t.g;

	ASSERT_TRUE(serve(0, 1));
	guest_want_no_interrupt(g);
	offer_one(g, 1);
	offer_one(g, 2);
	ASSERT_EQ(1, pop());
	push(0);
	ASSERT_FALSE(vbs_ring_publish(&g->ring));
	ASSERT_EQ(1, pop());
	push(0);
	g->last_used = guest_pos_add(g, g->last_used, 1);
	record_start(g);
	record.at = 'M';
	record.act = want_interrupt;
	EXPECT_TRUE(vbs_ring_publish(&g->ring));
	record_stop();
}

/* ---- kicks ---- */

TEST_F(ring, kick)
{
	struct guest_ring *g = &t.g;
	u32 round, id, len;
	u16 old;

	guest_ring_start(g, variant->kind.packed ? 3 : 0xfff0);
	for (round = 0; round < 40; round++) {
		vbs_ring_disable_kick(&g->ring);
		ASSERT_FALSE(vbs_ring_enable_kick(&g->ring));

		old = g->next;
		offer_one(g, 1);
		ASSERT_TRUE(guest_kicks(g, old));
		ASSERT_TRUE(vbs_ring_enable_kick(&g->ring));
		ASSERT_EQ(1, pop());
		push(0);
		vbs_ring_publish(&g->ring);
		ASSERT_TRUE(guest_get_used(g, &id, &len));
	}
}

/* No kick is asked for while it is disabled. */
TEST_F(ring, disabled_kick)
{
	struct guest_ring *g = &t.g;
	u32 id, len;
	u16 i, old;

	ASSERT_FALSE(vbs_ring_enable_kick(&g->ring));
	vbs_ring_disable_kick(&g->ring);
	offer_one(g, 0);
	for (i = 1; i < 50; i++) {
		ASSERT_EQ(1, pop());
		push(0);
		vbs_ring_publish(&g->ring);
		ASSERT_TRUE(guest_get_used(g, &id, &len));
		old = g->next;
		offer_one(g, i % g->num);
		ASSERT_FALSE(guest_kicks(g, old));
	}
}

static void offer_more(struct guest_ring *g)
{
	offer_one(g, 9);
}

/* A chain that comes between the wish for a kick and the look at the ring. */
TEST_F(ring, kick_race)
{
	struct guest_ring *g = &t.g;
	static const char moments[] = "nvM";
	unsigned int i;

	for (i = 0; moments[i]; i++) {
		if (moments[i] == 'v' && !variant->kind.event_idx)
			continue;
		if (moments[i] == 'n' && variant->kind.event_idx &&
		    !variant->kind.packed)
			continue;
		guest_ring_start(g, variant->kind.packed ? RING_NUM - 1 :
							   0xffff);
		vbs_ring_disable_kick(&g->ring);
		record_start(g);
		record.at = moments[i];
		record.act = offer_more;
		EXPECT_TRUE(vbs_ring_enable_kick(&g->ring))
			TH_LOG("at %c", moments[i]);
		record_stop();
		EXPECT_EQ(1, pop());
		EXPECT_EQ(9, t.chain->buf.head);
	}
}

/* ---- what one used element stands for ---- */

/* Chain @i of the test below, and whether it is filled completely. */
static u32 written(u32 i, u32 partly, u32 *in_len)
{
	*in_len = 10 + i;
	return *in_len - (partly >> i & 1);
}

/*
 * Batches of four, whose chains take one to four descriptors.  With IN_ORDER
 * those that were written completely need no used element of their own, unless
 * they are the last; any other gets one, with its length.
 */
TEST_F(ring, used_elements)
{
	struct guest_seg segs[4] = { { 1, 1, 0 }, { 1, 1, 0 }, { 1, 1, 0 } };
	struct guest_ring *g = &t.g;
	u32 partly, i, len, id, in_len, seen;

	new_ring(64, FIRST);
	for (partly = 0; partly < 16 * 5; partly++) {
		for (i = 0; i < 4; i++) {
			written(i, partly, &in_len);
			segs[i] = (struct guest_seg) { 1, in_len, WRITE };
			guest_chain(g, i, segs, i + 1);
			segs[i] = (struct guest_seg) { 1, 1, 0 };
		}
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(1, pop());
			ASSERT_EQ(i, t.chain->buf.head);
			push(written(i, partly, &in_len));
		}
		vbs_ring_publish(&g->ring);
		for (i = 0, seen = 0; i < 4; i++) {
			ASSERT_TRUE(guest_get_used(g, &id, &len));
			ASSERT_EQ(i, id);
			if (len != GUEST_ALL)
				ASSERT_EQ(written(i, partly, &in_len), len);
			seen |= (len != GUEST_ALL) << i;
		}
		ASSERT_EQ(variant->kind.in_order ? 8 | (partly & 15) : 15,
			  seen);
		ASSERT_FALSE(guest_get_used(g, &id, &len));
	}
}

TEST_HARNESS_MAIN
