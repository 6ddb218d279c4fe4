// SPDX-License-Identifier: GPL-2.0-only
/* Split rings with a driver that does not behave, and indirect tables. */
#include <stdlib.h>
#include <string.h>

#include "ring_test.h"

#define TABLE_MAX	1024

RING_FIXTURE(split);
RING_KIND(split, plain, .event_idx = false);
RING_KIND(split, event_idx, .event_idx = true);

/* An indirect table in the client's memory, and a descriptor that has it. */
static struct vring_desc *new_table(struct vbs_mem *mem, struct guest_ring *g,
				    u16 head, u32 num)
{
	u64 iova = guest_alloc(mem, 16 * num, 16);

	guest_desc(&g->desc[head], iova, 16 * num, INDIRECT, 0xffff);
	return guest_ptr(mem, iova);
}

/* A table whose descriptors are all used, one after the other. */
static void offer_table(struct vbs_mem *mem, struct guest_ring *g, u16 head,
			u32 num)
{
	struct vring_desc *table = new_table(mem, g, head, num);
	u32 i;

	for (i = 0; i < num; i++)
		guest_desc(&table[i], i, i + 1, i < num - 1 ? NEXT : 0, i + 1);
	guest_offer(g, head);
}

static void bad_avail_idx(struct vbs_mem *mem, struct guest_ring *g)
{
	(void)mem;
	guest_set_avail_idx(g, g->next + g->num);
}

static void bad_head(struct vbs_mem *mem, struct guest_ring *g)
{
	(void)mem;
	g->avail->ring[(g->next - 1) & (g->num - 1)] = to16(g->num);
}

static void bad_next(struct vbs_mem *mem, struct guest_ring *g)
{
	(void)mem;
	guest_desc(&g->desc[0], 1, 1, NEXT, g->num);
}

static void bad_loop(struct vbs_mem *mem, struct guest_ring *g)
{
	(void)mem;
	guest_desc(&g->desc[0], 1, 1, NEXT, 0);
}

static void bad_order(struct vbs_mem *mem, struct guest_ring *g)
{
	(void)mem;
	guest_desc(&g->desc[0], 1, 1, NEXT | WRITE, 2);
	guest_desc(&g->desc[2], 1, 1, 0, 0);
}

static void bad_indirect_feature(struct vbs_mem *mem, struct guest_ring *g)
{
	guest_desc(new_table(mem, g, 0, 1), 1, 1, 0, 0);
	g->ring.indirect = false;
}

static void bad_indirect_flags(struct vbs_mem *mem, struct guest_ring *g)
{
	guest_desc(new_table(mem, g, 0, 1), 1, 1, INDIRECT, 0);
}

static void bad_indirect_len(struct vbs_mem *mem, struct guest_ring *g)
{
	guest_desc(new_table(mem, g, 0, 1), 1, 1, 0, 0);
	g->desc[0].len = __cpu_to_virtio32(true, 17);
}

static void bad_indirect_fault(struct vbs_mem *mem, struct guest_ring *g)
{
	guest_desc(new_table(mem, g, 0, 1), 1, 1, 0, 0);
	guest_map(mem, GUEST_BASE, GUEST_SIZE, false);
}

static const struct {
	int err;
	void (*spoil)(struct vbs_mem *mem, struct guest_ring *g);
} bad[] = {
	{ VBS_RING_AVAIL_IDX, bad_avail_idx },
	{ VBS_RING_HEAD, bad_head },
	{ VBS_RING_NEXT, bad_next },
	{ VBS_RING_LOOP, bad_loop },
	{ VBS_RING_ORDER, bad_order },
	{ VBS_RING_INDIRECT_FEATURE, bad_indirect_feature },
	{ VBS_RING_INDIRECT_FLAGS, bad_indirect_flags },
	{ VBS_RING_INDIRECT_LEN, bad_indirect_len },
	{ VBS_RING_INDIRECT_FAULT, bad_indirect_fault },
};

/*
 * Each error is found behind a good chain, takes nothing, and is forgotten when
 * the driver has repaired the ring.
 */
TEST_F(split, each_error)
{
	struct guest_ring *g = &t.g;
	u8 used[4 + 8 * RING_NUM + 2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_mem_reset(&t.mem);
		guest_ring_start(g, 0xffff);
		g->ring.indirect = true;
		offer_one(g, 1);
		ASSERT_EQ(1, pop());

		offer_one(g, 0);
		bad[i].spoil(&t.mem, g);
		memcpy(used, g->used, guest_used_size(g));
		ASSERT_EQ(-bad[i].err, pop())
			TH_LOG("wanted: %s", vbs_ring_strerror(-bad[i].err));
		ASSERT_EQ(-bad[i].err, pop());
		EXPECT_EQ(0, g->ring.last_avail);
		EXPECT_EQ(0xffff, g->ring.used_idx);
		EXPECT_EQ(0xffff, g->ring.used_published);
		EXPECT_EQ(0, memcmp(used, g->used, guest_used_size(g)));

		g->next = 0;
		offer_one(g, 0);
		ASSERT_EQ(1, pop()) TH_LOG("after error %d", bad[i].err);
		EXPECT_EQ(0, t.chain->buf.head);
		EXPECT_EQ(1, t.chain->nr_out);
		EXPECT_EQ(1, g->ring.last_avail);
	}
}

TEST_F(split, avail_idx)
{
	struct guest_ring *g = &t.g;
	static const u16 bases[] = { 0, 1, 0x7fff, 0x8000, 0xfff8, 0xffff };
	unsigned int i;
	u32 num, ahead;

	for (num = 1; num <= 1024; num *= 2) {
		for (i = 0; i < ARRAY_SIZE(bases); i++) {
			new_ring(num, bases[i]);
			offer_one(g, 0);
			for (ahead = num + 1; ahead <= 0xffff; ahead++) {
				guest_set_avail_idx(g, bases[i] + ahead);
				ASSERT_EQ(-VBS_RING_AVAIL_IDX, pop())
					TH_LOG("num %u ahead %u", num, ahead);
			}
			guest_set_avail_idx(g, bases[i] + num);
			ASSERT_EQ(1, pop()) TH_LOG("num %u", num);
		}
	}
}

/* One look at the index for all that is there. */
TEST_F(split, index_is_read_once)
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

/* No more chains at work than entries, however the index got there. */
TEST_F(split, more_chains_at_once_than_entries)
{
	struct guest_ring *g = &t.g;
	u16 i;

	for (i = 0; i < g->num; i++) {
		offer_one(g, i);
		ASSERT_EQ(1, pop());
	}
	offer_one(g, 0);
	EXPECT_EQ(-VBS_RING_AVAIL_IDX, pop());
	push_one(g, 0);
	EXPECT_EQ(1, pop());
	offer_one(g, 1);
	EXPECT_EQ(-VBS_RING_AVAIL_IDX, pop());
}

TEST_F(split, heads)
{
	struct guest_ring *g = &t.g;
	u32 head;

	for (head = 0; head <= 0xffff; head++) {
		guest_ring_start(g, 0);
		offer_one(g, 0);
		memset(g->desc, 0, 16 * g->num);
		g->avail->ring[0] = to16(head);
		ASSERT_EQ(head < g->num ? 1 : -VBS_RING_HEAD, pop())
			TH_LOG("head %u", head);
	}
}

TEST_F(split, nexts)
{
	struct guest_ring *g = &t.g;
	u32 next;

	for (next = 1; next <= 0xffff; next++) {
		guest_ring_start(g, 0);
		memset(g->desc, 0, 16 * g->num);
		guest_desc(&g->desc[0], 1, 1, NEXT, next);
		guest_offer(g, 0);
		ASSERT_EQ(next < g->num ? 1 : -VBS_RING_NEXT, pop())
			TH_LOG("next %u", next);
		/* Without NEXT it does not matter. */
		guest_ring_start(g, 0);
		guest_desc(&g->desc[0], 1, 1, 0, next);
		guest_offer(g, 0);
		ASSERT_EQ(1, pop());
	}
}

/* Loops of each length, of descriptors with and without anything in them. */
TEST_F(split, loops)
{
	struct guest_ring *g = &t.g;
	u32 num, i, len, to;

	for (num = 1; num <= 1024; num *= 4) {
		for (len = 0; len <= 1; len++) {
			for (to = 0; to < num; to += 1 + num / 16) {
				new_ring(num, 0);
				for (i = 0; i < num; i++)
					guest_desc(&g->desc[i], i, len, NEXT,
						   i + 1);
				g->desc[num - 1].next = to16(to);
				guest_offer(g, 0);
				ASSERT_EQ(-VBS_RING_LOOP, pop())
					TH_LOG("num %u back to %u", num, to);
			}
		}
	}
}

/* A descriptor that is the last one from the moment it was read so often. */
static u32 reads_left;

static void end_chain(enum host_access what, const void *addr, size_t len)
{
	(void)what;
	(void)len;
	if (addr == &t.g.desc[0].flags && !--reads_left)
		t.g.desc[0].flags = 0;
}

/* A loop counts as one, though the driver opens it when it is too late. */
TEST_F(split, opened_loops)
{
	u32 num, late;

	for (num = 2; num <= 1024; num *= 2) {
		for (late = 0; late <= 1; late++) {
			new_ring(num, 0);
			guest_desc(&t.g.desc[0], 0, 1, NEXT, 0);
			guest_offer(&t.g, 0);
			reads_left = num - 1 + late;
			host_hook = end_chain;
			ASSERT_EQ(late ? -VBS_RING_LOOP : 1, pop())
				TH_LOG("num %u", num);
			host_hook = NULL;
		}
	}
}

/*
 * Tables of all lengths; each descriptor is read once, and nothing behind the
 * table is touched, which ends where the memory does.
 */
TEST_F(split, indirect_lengths)
{
	struct guest_ring *g = &t.g;
	struct vbs_mem *mem = &t.mem;
	u32 num, i;
	u64 iova;

	for (num = 1; num <= TABLE_MAX; num++) {
		guest_mem_reset(mem);
		guest_ring_start(g, num);
		guest_alloc(mem, GUEST_SIZE - 16 * num, 1);
		offer_table(mem, g, 3, num);
		iova = GUEST_BASE + GUEST_SIZE - 16 * num;

		ASSERT_EQ(1, pop()) TH_LOG("num %u", num);
		EXPECT_EQ(3, t.chain->buf.head);
		ASSERT_EQ(num, t.chain->nr_out);
		EXPECT_EQ(0, t.chain->nr_in);
		for (i = 0; i < num; i++) {
			ASSERT_EQ(i, t.chain->segs[i].iova);
			ASSERT_EQ(i + 1, t.chain->segs[i].len);
		}
		EXPECT_EQ(0, mem->nr_again);
		EXPECT_LE(16 * num - 2, mem->nr_bytes);
		EXPECT_EQ(iova, mem->first);
		EXPECT_GE(iova + 16 * num, mem->end);
	}
}

/*
 * In any order: forwards and backwards, by a step that visits all. An odd address is allowed too.
 */
TEST_F(split, indirect_order)
{
	static const u32 steps[] = { 1, 3, 15, 17, 31, 511, 513, 1023 };
	struct guest_ring *g = &t.g;
	struct vring_desc desc;
	unsigned int s;
	u32 num, i, at;
	u64 iova;

	for (num = 2; num <= TABLE_MAX; num *= 2) {
		for (s = 0; s < ARRAY_SIZE(steps); s++) {
			guest_mem_reset(&t.mem);
			guest_ring_start(g, num);
			guest_alloc(&t.mem, s, 1);
			iova = guest_alloc(&t.mem, 16 * num, 1);
			for (i = 0; i < num; i++) {
				at = i * steps[s] % num;
				guest_desc(&desc, 100 + i, 1,
					   (i < num - 1 ? NEXT : 0) |
					   (i >= num / 3 ? WRITE : 0),
					   (i + 1) * steps[s] % num);
				memcpy(guest_ptr(&t.mem, iova + 16 * at),
				       &desc, sizeof(desc));
			}
			guest_desc(&g->desc[1], iova, 16 * num, INDIRECT, 0);
			guest_offer(g, 1);

			ASSERT_EQ(1, pop())
				TH_LOG("num %u step %u", num, steps[s]);
			ASSERT_EQ(num / 3, t.chain->nr_out);
			ASSERT_EQ(num, num / 3 + t.chain->nr_in);
			for (i = 0; i < num; i++)
				ASSERT_EQ(100 + i, t.chain->segs[i].iova);
			EXPECT_EQ(0, t.mem.nr_again);
			EXPECT_EQ(iova, t.mem.first);
			EXPECT_GE(iova + 16 * num, t.mem.end);
		}
	}
}

TEST_F(split, indirect_lens)
{
	struct guest_ring *g = &t.g;
	struct vring_desc *table;
	u32 len, max = 16 * TABLE_MAX;
	int want;

	table = new_table(&t.mem, g, 0, TABLE_MAX + 3);
	guest_desc(&table[0], 1, 1, 0, 0);
	for (len = 0; len <= max + 40; len++) {
		guest_offer(g, 0);
		guest_desc(&g->desc[0], GUEST_BASE, len, INDIRECT, 0);
		want = len && len <= max && len % 16 == 0 ?
			1 : -VBS_RING_INDIRECT_LEN;
		ASSERT_EQ(want, pop()) TH_LOG("length %u", len);
		if (want < 0)
			g->next--;
		else
			push_one(g, 0);
	}
	for (len = 1U << 15; len; len *= 2) {
		guest_desc(&g->desc[0], GUEST_BASE, 0 - len, INDIRECT, 0);
		guest_offer(g, 0);
		ASSERT_EQ(-VBS_RING_INDIRECT_LEN, pop());
		g->next--;
	}
}

/* The device ignores WRITE of the descriptor that has the table. */
TEST_F(split, indirect_write_flag)
{
	struct guest_ring *g = &t.g;
	struct vring_desc *table = new_table(&t.mem, g, 0, 2);

	guest_desc(&table[0], 1, 1, NEXT, 1);
	guest_desc(&table[1], 2, 1, WRITE, 0);
	g->desc[0].flags = to16(INDIRECT | WRITE);
	guest_offer(g, 0);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(1, t.chain->nr_out);
	EXPECT_EQ(1, t.chain->nr_in);
}

/* Offer @direct descriptors, then a table; the first @out are readable. */
static void offer_mixed(u32 direct, u32 indirect,
			u32 out, u32 len)
{
	struct guest_ring *g = &t.g;
	struct vring_desc *table;
	u32 i;

	guest_mem_reset(&t.mem);
	for (i = 0; i < direct; i++)
		guest_desc(&g->desc[i], i, len,
			   NEXT | (i < out ? 0 : WRITE), i + 1);
	table = new_table(&t.mem, g, direct, indirect);
	for (i = 0; i < indirect; i++)
		guest_desc(&table[i], direct + i, 1,
			   (i < indirect - 1 ? NEXT : 0) |
			   (direct + i < out ? 0 : WRITE), i + 1);
	guest_offer(g, 0);
}

TEST_F(split, indirect_behind_direct)
{
	u32 direct, indirect, out, i;

	for (direct = 0; direct < RING_NUM; direct++) {
		for (indirect = 1; indirect < 40; indirect += 3) {
			out = (direct + indirect) * 2 / 3;
			guest_ring_start(&t.g, 0);
			offer_mixed(direct, indirect, out, 1);
			ASSERT_EQ(1, pop());
			ASSERT_EQ(out, t.chain->nr_out);
			ASSERT_EQ(direct + indirect,
				  out + t.chain->nr_in);
			for (i = 0; i < direct + indirect; i++)
				ASSERT_EQ(i, t.chain->segs[i].iova);
		}
	}
	/* Readable in the table, behind a writable one that is not. */
	guest_ring_start(&t.g, 0);
	offer_mixed(2, 3, 1, 1);
	guest_desc(guest_ptr(&t.mem, GUEST_BASE), 1, 1, 0, 0);
	EXPECT_EQ(-VBS_RING_ORDER, pop());
}

TEST_F(split, indirect_with_next)
{
	struct guest_ring *g = &t.g;

	offer_mixed(1, 2, 3, 1);
	g->desc[1].flags = to16(INDIRECT | NEXT);
	g->desc[1].next = to16(2);
	guest_desc(&g->desc[2], 1, 1, 0, 0);
	EXPECT_EQ(-VBS_RING_INDIRECT_FLAGS, pop());
	EXPECT_EQ(0, t.mem.nr_reads);
}

/* 1024 segments fit, wherever their descriptors are; one more does not. */
TEST_F(split, longest_chain)
{
	offer_mixed(1, TABLE_MAX - 1, 1, 1);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(1, t.chain->nr_out);
	EXPECT_EQ(TABLE_MAX - 1, t.chain->nr_in);

	guest_ring_start(&t.g, 0);
	offer_mixed(1, TABLE_MAX, TABLE_MAX + 1, 1);
	EXPECT_EQ(-VBS_RING_LOOP, pop());
	guest_ring_start(&t.g, 0);
	offer_mixed(1, TABLE_MAX, 1, 1);
	EXPECT_EQ(-VBS_RING_LOOP, pop());

	/* An empty one is no segment. */
	guest_ring_start(&t.g, 0);
	offer_mixed(1, TABLE_MAX, 1, 0);
	ASSERT_EQ(1, pop());
	EXPECT_EQ(0, t.chain->nr_out);
	EXPECT_EQ(TABLE_MAX, t.chain->nr_in);
}

TEST_F(split, indirect_nexts)
{
	struct guest_ring *g = &t.g;
	struct vring_desc *table;
	u32 num, next;

	for (num = 2; num <= 64; num++) {
		for (next = 1; next <= 200; next++) {
			guest_mem_reset(&t.mem);
			guest_ring_start(g, 0);
			table = new_table(&t.mem, g, 0, num);
			memset(table, 0, 16 * num);
			guest_desc(&table[0], 1, 1, NEXT,
				   next == 200 ? 0xffff : next);
			guest_offer(g, 0);
			ASSERT_EQ(next < num ? 1 : -VBS_RING_NEXT, pop())
				TH_LOG("num %u next %u", num, next);
		}
	}
}

/* However they are linked: no more reads than descriptors. */
TEST_F(split, indirect_loops)
{
	struct guest_ring *g = &t.g;
	struct vring_desc *table;
	u32 num, i, len, step;

	for (num = 1; num <= TABLE_MAX; num *= 2) {
		for (step = 0; step <= 17; step += 17) {
			for (len = 0; len <= 1; len++) {
				guest_mem_reset(&t.mem);
				guest_ring_start(g, 0);
				table = new_table(&t.mem, g, 0, num);
				for (i = 0; i < num; i++)
					guest_desc(&table[i], i, len, NEXT,
						   (i + step) % num);
				guest_offer(g, 0);
				ASSERT_EQ(-VBS_RING_LOOP, pop());
				EXPECT_LE(t.mem.nr_reads, 4 * num);
			}
		}
	}
}

TEST_F(split, indirect_faults)
{
	struct guest_ring *g = &t.g;
	u32 page, pages = 16 * TABLE_MAX / GUEST_PAGE;

	for (page = 0; page <= pages; page++) {
		guest_mem_reset(&t.mem);
		guest_ring_start(g, 0);
		offer_table(&t.mem, g, 0, TABLE_MAX);
		t.mem.mapped[page] = false;
		ASSERT_EQ(page == pages ? 1 : -VBS_RING_INDIRECT_FAULT,
			  pop());
	}
	/* At the end of all addresses. */
	guest_ring_start(g, 0);
	guest_count_reads(&t.mem);
	guest_desc(&g->desc[0], ~0ULL - 15, 16, INDIRECT, 0);
	guest_offer(g, 0);
	EXPECT_EQ(-VBS_RING_INDIRECT_FAULT, pop());
	EXPECT_EQ(~0ULL - 15, t.mem.first);
}

/* A driver that changes everything as soon as it was read. */
static void change_hook(enum host_access what, const void *addr,
			size_t len)
{
	if (what == HOST_READ && !inside(addr, &t.g.ring, sizeof(t.g.ring)))
		memset((void *)addr, 0xff, len);
}

static void change_read(struct vbs_mem *mem, u64 iova, u32 len)
{
	memset(guest_ptr(mem, iova), 0xff, len);
}

TEST_F(split, changed_while_read)
{
	struct guest_ring *g = &t.g;
	u32 i, n;

	guest_ring_start(g, 0);
	for (n = 0; n < 3; n++) {
		for (i = 0; i < 4; i++)
			guest_desc(&g->desc[4 * n + i], 100 * n + i, i + 1,
				   (i < 3 ? NEXT : 0) | (i > 1 ? WRITE : 0),
				   4 * n + i + 1);
		guest_offer(g, 4 * n);
	}
	offer_table(&t.mem, g, 15, 100);
	t.mem.after_read = change_read;

	host_hook = change_hook;
	for (n = 0; n < 3; n++) {
		ASSERT_EQ(1, pop());
		EXPECT_EQ(4 * n, t.chain->buf.head);
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
	EXPECT_EQ(-VBS_RING_AVAIL_IDX, pop());
}

TEST_HARNESS_MAIN
