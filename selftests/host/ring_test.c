// SPDX-License-Identifier: GPL-2.0-only
/* ring.c with a driver that behaves: chains, indices, notifications. */
#include <stdlib.h>
#include <string.h>

#include "ring_test.h"

TEST(valid_num)
{
	u32 num;

	for (num = 0; num <= 4096; num++)
		EXPECT_EQ(num && num <= 1024 && __builtin_popcount(num) == 1,
			  vbs_ring_valid_num(num))
			TH_LOG("num %u", num);
	EXPECT_FALSE(vbs_ring_valid_num(1U << 16));
	EXPECT_FALSE(vbs_ring_valid_num(1U << 31));
	EXPECT_FALSE(vbs_ring_valid_num(~0U));
}

TEST(area_sizes)
{
	u32 num;

	for (num = 1; num <= 1024; num *= 2) {
		EXPECT_EQ(16 * num, vbs_ring_desc_size(num));
		EXPECT_EQ(4 + 2 * num, vbs_ring_avail_size(num, false));
		EXPECT_EQ(6 + 2 * num, vbs_ring_avail_size(num, true));
		EXPECT_EQ(4 + 8 * num, vbs_ring_used_size(num, false));
		EXPECT_EQ(6 + 8 * num, vbs_ring_used_size(num, true));
	}
}

TEST_F(ring, empty)
{
	EXPECT_EQ(0, pop());
	EXPECT_EQ(0, t.g.ring.last_avail);
	offer_one(&t.g, 3);
	EXPECT_EQ(1, pop());
	EXPECT_EQ(0, pop());
	EXPECT_EQ(0, pop());
	EXPECT_EQ(1, t.g.ring.last_avail);
}

TEST_F(ring, segments)
{
	struct guest_ring *g = &t.g;
	struct vbs_chain *chain = t.chain;

	guest_desc(&g->desc[7], 0x1111222233334444ULL, 0x55667788, NEXT, 15);
	guest_desc(&g->desc[15], ~0ULL, ~0U, NEXT, 0);
	guest_desc(&g->desc[0], 0, 1, NEXT | WRITE, 8);
	guest_desc(&g->desc[8], 5, 6, WRITE, 7);
	guest_offer(g, 7);

	ASSERT_EQ(1, pop());
	EXPECT_EQ(7, chain->head);
	ASSERT_EQ(2, chain->nr_out);
	ASSERT_EQ(2, chain->nr_in);
	EXPECT_EQ(0x1111222233334444ULL, chain->segs[0].iova);
	EXPECT_EQ(0x55667788, chain->segs[0].len);
	EXPECT_EQ(~0ULL, chain->segs[1].iova);
	EXPECT_EQ(~0U, chain->segs[1].len);
	EXPECT_EQ(0, chain->segs[2].iova);
	EXPECT_EQ(1, chain->segs[2].len);
	EXPECT_EQ(5, chain->segs[3].iova);
	EXPECT_EQ(6, chain->segs[3].len);
	/* Nothing of this needs the client's other memory. */
	EXPECT_EQ(0, t.mem.nr_reads);
}

/* Flags the specification does not know have no meaning here. */
TEST_F(ring, unknown_flags)
{
	guest_desc(&t.g.desc[0], 1, 1, 0xfff8, 99);
	guest_offer(&t.g, 0);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(1, t.chain->nr_out);
	EXPECT_EQ(0, t.chain->nr_in);
}

TEST_F(ring, empty_descriptors)
{
	struct guest_ring *g = &t.g;

	guest_desc(&g->desc[0], 1, 0, NEXT, 1);
	guest_desc(&g->desc[1], 2, 20, NEXT | WRITE, 2);
	/* In the wrong order, but with nothing in it. */
	guest_desc(&g->desc[2], 3, 0, NEXT, 3);
	guest_desc(&g->desc[3], 4, 40, NEXT | WRITE, 4);
	guest_desc(&g->desc[4], 5, 0, WRITE, 0);
	guest_offer(g, 0);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(0, t.chain->nr_out);
	ASSERT_EQ(2, t.chain->nr_in);
	EXPECT_EQ(2, t.chain->segs[0].iova);
	EXPECT_EQ(4, t.chain->segs[1].iova);

	guest_desc(&g->desc[5], 6, 0, 0, 0);
	guest_offer(g, 5);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(5, t.chain->head);
	EXPECT_EQ(0, t.chain->nr_out);
	EXPECT_EQ(0, t.chain->nr_in);
}

TEST_F(ring, all_descriptors_in_one_chain)
{
	u32 num, i;

	for (num = 1; num <= 1024; num *= 2) {
		new_ring(num, 0);
		for (i = 0; i < num; i++)
			guest_desc(&t.g.desc[i], i + 1, i + 1,
				   i < num - 1 ? NEXT : 0, i + 1);
		guest_offer(&t.g, 0);
		ASSERT_EQ(1, pop()) TH_LOG("num %u", num);
		ASSERT_EQ(num, t.chain->nr_out);
		for (i = 0; i < num; i++)
			ASSERT_EQ(i + 1, t.chain->segs[i].iova);
	}
}

/*
 * Take @n chains that stand for the numbers from @first on, and answer them
 * last one first; false when anything is not as it should be.
 */
static bool serve(u16 first, u32 n)
{
	struct guest_ring *g = &t.g;
	u16 mask = g->num - 1;
	u16 idx;
	u32 i;

	for (i = 0; i < n; i++)
		offer_one(g, (first + i) * 7 & mask);
	for (i = 0; i < n; i++) {
		if (pop() != 1 ||
		    t.chain->head != ((first + i) * 7 & mask) ||
		    t.chain->segs[0].iova != 0x1000U + t.chain->head)
			return false;
	}
	if (pop())
		return false;

	for (i = n; i--; )
		vbs_ring_push(&g->ring, (first + i) * 7 & mask, first + i);
	if (guest_used_idx(g) != first)
		return false;
	vbs_ring_publish(&g->ring);
	for (i = 0; i < n; i++) {
		idx = first + n - 1 - i;
		if (guest_used_id(g, first + i) != (idx * 7U & mask) ||
		    guest_used_len(g, first + i) != first + n - 1 - i)
			return false;
	}
	return guest_used_idx(g) == (u16)(first + n);
}

/* Every size, batches of every size, indices past their end. */
TEST_F(ring, turns)
{
	u32 num, n, done, limit;
	u16 base;

	for (num = 1; num <= 1024; num *= 2) {
		base = 0 - num - num / 2;
		new_ring(num, base);
		limit = num == 64 ? 3 << 16 : 8 * num;
		for (done = 0, n = 1; done < limit; n = n % num + 1) {
			ASSERT_TRUE(serve(base + done, n))
				TH_LOG("num %u after %u, %u at once", num,
				       done, n);
			done += n;
		}
	}
}

/* One look at the index for all that is there. */
TEST_F(ring, index_is_read_once)
{
	u16 i;

	for (i = 0; i < 5; i++)
		offer_one(&t.g, i);
	record_start(&t.g);
	ASSERT_EQ(1, pop());
	EXPECT_STREQ("iRad", record_stop());
	guest_set_avail_idx(&t.g, 0x8000);
	record_start(&t.g);
	for (i = 1; i < 5; i++)
		ASSERT_EQ(1, pop());
	EXPECT_STREQ("adadadad", record_stop());
	EXPECT_EQ(-VBS_RING_AVAIL_IDX, pop());
}

TEST_F(ring, push_is_not_publish)
{
	struct guest_ring *g = &t.g;

	vbs_ring_push(&g->ring, 5, 0x12345678);
	EXPECT_EQ(0, guest_used_idx(g));
	EXPECT_EQ(5, guest_used_id(g, 0));
	EXPECT_EQ(0x12345678, guest_used_len(g, 0));
	/* The entry behind it is still the driver's. */
	EXPECT_EQ(~0U, guest_used_id(g, 1));
	vbs_ring_publish(&g->ring);
	EXPECT_EQ(1, guest_used_idx(g));
}

TEST_F(ring, order_of_accesses)
{
	struct guest_ring *g = &t.g;
	bool event_idx = variant->event_idx;

	offer_one(g, 2);
	record_start(g);
	ASSERT_EQ(1, pop());
	vbs_ring_push(&g->ring, 2, 0);
	vbs_ring_publish(&g->ring);
	EXPECT_STREQ(event_idx ? "iRadeWuM" : "iRadeWuMf", record_stop());

	vbs_ring_push(&g->ring, 2, 0);
	record_start(g);
	vbs_ring_publish(&g->ring);
	EXPECT_STREQ(event_idx ? "WuMw" : "WuMf", record_stop());

	record_start(g);
	vbs_ring_publish(&g->ring);
	EXPECT_STREQ("", record_stop());

	record_start(g);
	vbs_ring_enable_kick(&g->ring);
	EXPECT_STREQ(event_idx ? "vMi" : "nMi", record_stop());

	record_start(g);
	vbs_ring_disable_kick(&g->ring);
	EXPECT_STREQ(event_idx ? "" : "n", record_stop());
}

/* Begin again anywhere: with other numbers, and with chains left over. */
TEST_F(ring, restart)
{
	struct guest_ring *g = &t.g;
	u16 i;

	for (i = 0; i < 6; i++)
		offer_one(g, i);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(1, pop());
	vbs_ring_push(&g->ring, 0, 0);
	EXPECT_TRUE(vbs_ring_publish(&g->ring));
	vbs_ring_push(&g->ring, 1, 0);

	/* As if only the published one had been taken. */
	vbs_ring_init(&g->ring, 1);
	EXPECT_FALSE(vbs_ring_publish(&g->ring));
	for (i = 1; i < 6; i++) {
		ASSERT_EQ(1, pop());
		EXPECT_EQ(i, t.chain->head);
	}
	EXPECT_EQ(0, pop());
	/* The index read before is nothing to rely on now. */
	vbs_ring_init(&g->ring, 3);
	guest_set_avail_idx(g, 3);
	EXPECT_EQ(0, pop());

	guest_ring_start(g, 0xfff0);
	EXPECT_TRUE(serve(0xfff0, 15));
	EXPECT_TRUE(serve(0xffff, 3));
	EXPECT_EQ(2, guest_used_idx(g));
	EXPECT_EQ(2, g->ring.last_avail);
}

/* With EVENT_IDX: when used_event is one of the entries just published. */
TEST(used_event)
{
	static const u16 start[] = { 0, 1, 7, 0x7ff8, 0xfff0, 0xfff8, 0xffff };
	struct guest_ring g;
	u16 old, event, i;
	bool wanted;
	unsigned int s;
	int off, n;

	guest_ring_alloc(&g, RING_NUM, true, false);
	guest_ring_start(&g, 0);
	for (s = 0; s < ARRAY_SIZE(start); s++) {
		for (n = 1; n <= g.num; n++) {
			for (off = -40; off <= 40; off++) {
				old = start[s];
				event = old + off;
				guest_ring_start(&g, old - 1);
				vbs_ring_push(&g.ring, 0, 0);
				vbs_ring_publish(&g.ring);

				guest_set_used_event(&g, event);
				g.avail->flags = to16(event & 1);
				wanted = false;
				for (i = 0; i < n; i++) {
					vbs_ring_push(&g.ring, 0, 0);
					wanted |= event == (u16)(old + i);
				}
				ASSERT_EQ(wanted, vbs_ring_publish(&g.ring))
					TH_LOG("%u to %u, event %u", old,
					       g.ring.used_idx, event);
				ASSERT_FALSE(vbs_ring_publish(&g.ring));
			}
		}
	}
	guest_ring_free(&g);
}

/* used_event may be left from before: the first publish signals in any case. */
TEST(first_interrupt)
{
	struct guest_ring g;
	u16 event;

	guest_ring_alloc(&g, RING_NUM, true, false);
	guest_ring_start(&g, 0);
	for (event = 0; event < 20; event++) {
		guest_ring_start(&g, 10);
		guest_set_used_event(&g, event);
		ASSERT_FALSE(vbs_ring_publish(&g.ring));
		vbs_ring_push(&g.ring, 0, 0);
		ASSERT_TRUE(vbs_ring_publish(&g.ring));
		vbs_ring_push(&g.ring, 0, 0);
		ASSERT_EQ(event == 11, vbs_ring_publish(&g.ring));
	}
	guest_ring_free(&g);
}

TEST(no_interrupt_flag)
{
	struct guest_ring g;
	u32 flags;

	guest_ring_alloc(&g, RING_NUM, false, false);
	guest_ring_start(&g, 0);
	for (flags = 0; flags <= 0xffff; flags++) {
		g.avail->flags = to16(flags);
		ASSERT_FALSE(vbs_ring_publish(&g.ring));
		vbs_ring_push(&g.ring, 0, 0);
		ASSERT_EQ(!(flags & 1), vbs_ring_publish(&g.ring))
			TH_LOG("flags 0x%x", flags);
	}
	guest_ring_free(&g);
}

static void offer_more(struct guest_ring *g)
{
	offer_one(g, 9);
}

static void want_interrupt(struct guest_ring *g)
{
	if (g->ring.event_idx)
		guest_set_used_event(g, guest_used_idx(g) - 1);
	else
		g->avail->flags = 0;
}

/* The driver asks at the last moment that still has to be noticed. */
TEST_F(ring, interrupt_race)
{
	struct guest_ring *g = &t.g;

	vbs_ring_push(&g->ring, 0, 0);
	vbs_ring_publish(&g->ring);

	g->avail->flags = to16(VRING_AVAIL_F_NO_INTERRUPT);
	if (variant->event_idx)
		guest_set_used_event(g, 0x4000);
	vbs_ring_push(&g->ring, 0, 0);
	ASSERT_FALSE(vbs_ring_publish(&g->ring));
	vbs_ring_push(&g->ring, 0, 0);
	record_start(g);
	record.at = 'M';
	record.act = want_interrupt;
	EXPECT_TRUE(vbs_ring_publish(&g->ring));
	record_stop();
}

TEST_F(ring, kick)
{
	struct guest_ring *g = &t.g;
	u32 round;
	u16 old;

	guest_ring_start(g, 0xfff0);
	for (round = 0; round < 40; round++) {
		vbs_ring_disable_kick(&g->ring);
		if (!variant->event_idx) {
			ASSERT_EQ(VRING_USED_F_NO_NOTIFY,
				  from16(g->used->flags));
		}
		ASSERT_FALSE(vbs_ring_enable_kick(&g->ring));
		ASSERT_EQ(0, from16(g->used->flags));

		/* Would the driver kick with the next one? */
		old = g->next;
		offer_one(g, 1);
		ASSERT_TRUE(!variant->event_idx ||
			    old == guest_avail_event(g));
		ASSERT_TRUE(vbs_ring_enable_kick(&g->ring));
		ASSERT_EQ(1, pop());
		vbs_ring_push(&g->ring, 1, 0);
	}
}

/* No kick is asked for while it is disabled. */
TEST_F(ring, disabled_kick)
{
	struct guest_ring *g = &t.g;
	bool kicks;
	u16 i;

	ASSERT_FALSE(vbs_ring_enable_kick(&g->ring));
	vbs_ring_disable_kick(&g->ring);
	offer_one(g, 0);
	ASSERT_EQ(1, pop());
	for (i = 1; i < 50; i++) {
		offer_one(g, i % g->num);
		if (variant->event_idx)
			kicks = vring_need_event(guest_avail_event(g), g->next,
						 g->next - 1);
		else
			kicks = !(from16(g->used->flags) &
				  VRING_USED_F_NO_NOTIFY);
		ASSERT_FALSE(kicks);
		vbs_ring_push(&g->ring, t.chain->head, 0);
		ASSERT_EQ(1, pop());
	}
}

/* A chain that comes between the wish for a kick and the look at the index. */
TEST_F(ring, kick_race)
{
	struct guest_ring *g = &t.g;
	static const char moments[] = "nvM";
	unsigned int i;

	for (i = 0; moments[i]; i++) {
		if (moments[i] == (variant->event_idx ? 'n' : 'v'))
			continue;
		guest_ring_start(g, 0xffff);
		vbs_ring_disable_kick(&g->ring);
		record_start(g);
		record.at = moments[i];
		record.act = offer_more;
		EXPECT_TRUE(vbs_ring_enable_kick(&g->ring))
			TH_LOG("at %c", moments[i]);
		record_stop();
		EXPECT_EQ(1, pop());
		EXPECT_EQ(9, t.chain->head);
	}
}

TEST_HARNESS_MAIN
