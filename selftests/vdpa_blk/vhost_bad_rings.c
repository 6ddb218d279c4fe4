// SPDX-License-Identifier: GPL-2.0-only
/*
 * Split rings no driver would make. Each of them must stop its queue, and nothing
 * else: the device asks for a reset, the other queues go on, and after the
 * reset all is well.
 */
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

/* A descriptor by hand. */
static void put_desc(struct vring_desc *d, __u64 addr, __u32 len, __u16 flags,
		     __u16 next)
{
	*d = (struct vring_desc){
		.addr = addr,
		.len = len,
		.flags = flags,
		.next = next,
	};
}

/* A read of one sector in descriptors 0, 1 and 2: what a test then spoils. */
static void good_chain(struct vv_queue *q, struct vring_desc *d)
{
	struct vv_slot *slot = &q->slot[0];

	slot->hdr.type = T_IN;
	slot->hdr.sector = 0;
	slot->status = 0xff;
	put_desc(&d[0], vv_iova(q->dev, &slot->hdr), 16,
		 VRING_DESC_F_NEXT, 1);
	put_desc(&d[1], vv_iova(q->dev, &slot[1]), VV_SECTOR,
		 VRING_DESC_F_NEXT | W, 2);
	put_desc(&d[2], vv_iova(q->dev, &slot->status), 1, W, 0);
}

static void indirect(struct vv_queue *q, struct vring_desc *table, __u32 len)
{
	put_desc(&q->desc[0], vv_iova(q->dev, table), len,
		 VRING_DESC_F_INDIRECT, 0);
}

static void show(struct vv_queue *q, __u16 head)
{
	vv_publish(q, head);
	vv_kick_always(q);
}

/* First, so that no other test has used up the lines. */
VV_TEST(broken_ring_is_one_line_in_the_log)
{
	struct vv_queue *q = &self->dev.vq[0];
	char who[48];
	int lines;

	snprintf(who, sizeof(who), "%s: vq 0:", self->disk.name);
	BEGIN();
	show(q, 0xffff);
	IS_BROKEN("head");
	lines = vv_klog_count(who, "broken ring");
	if (!lines) {
		vv_sleep_ms(RATE_MS);
		BEGIN();
		show(q, 0xffff);
		IS_BROKEN("head");
		lines = vv_klog_count(who, "broken ring");
	}
	EXPECT_EQ(1, lines);
}

VV_TEST(avail_index_jumps_ahead)
{
	static const __u16 jumps[] = { NUM + 1, 1000, 32768, 65535 };
	struct vv_queue *q = &self->dev.vq[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		BEGIN();
		__atomic_store_n(&q->avail->idx, q->next_avail + jumps[i],
				 __ATOMIC_RELEASE);
		vv_kick_always(q);
		IS_BROKEN("avail index");
	}
}

/*
 * All entries are at work, or were, and the index says that there is one more.
 * With a device below that takes its time they are (faults.sh).
 */
VV_TEST(avail_index_goes_back)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int i;
	__u16 end;

	BEGIN();
	good_chain(q, q->desc);
	/* Aligned, or the data would be copied, and the worker wait for it. */
	q->desc[1].addr = vv_iova(q->dev, vv_alloc(q->dev, 4096));
	for (i = 0; i < NUM; i++)
		q->avail->ring[i] = 0;
	end = q->next_avail + NUM;
	__atomic_store_n(&q->avail->idx, end, __ATOMIC_RELEASE);
	vv_kick_always(q);
	vv_sleep_ms(50);
	printf("# %u of %u are at work\n", (__u16)(end - vv_used_idx(q)), NUM);
	__atomic_store_n(&q->avail->idx, end - 1, __ATOMIC_RELEASE);
	vv_kick_always(q);
	IS_BROKEN("avail index");
}

VV_TEST(head_is_outside_the_ring)
{
	static const __u16 heads[] = { NUM, NUM + 1, 1024, 0x8000, 0xffff };
	struct vv_queue *q = &self->dev.vq[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		BEGIN();
		show(q, heads[i]);
		IS_BROKEN("head");
	}
}

VV_TEST(next_is_outside_the_ring)
{
	static const __u16 next[] = { NUM, 1024, 0x7fff, 0xffff };
	struct vv_queue *q = &self->dev.vq[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(next); i++) {
		BEGIN();
		good_chain(q, q->desc);
		q->desc[0].next = next[i];
		show(q, 0);
		IS_BROKEN("next");
	}
}

VV_TEST(chain_loops)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int i;

	BEGIN();
	good_chain(q, q->desc);
	q->desc[0].next = 0;
	show(q, 0);
	IS_BROKEN("loop of one");

	BEGIN();
	good_chain(q, q->desc);
	q->desc[2].flags |= VRING_DESC_F_NEXT;
	q->desc[2].next = 1;
	show(q, 0);
	IS_BROKEN("loop of two");

	BEGIN();
	for (i = 0; i < NUM; i++)
		put_desc(&q->desc[i], vv_iova(q->dev, q->slot), 16,
			 VRING_DESC_F_NEXT, (i + 1) % NUM);
	show(q, 7);
	IS_BROKEN("loop of all");

	/* Empty descriptors are skipped, but they count. */
	BEGIN();
	for (i = 0; i < NUM; i++)
		put_desc(&q->desc[i], 0, 0, VRING_DESC_F_NEXT, i ^ 1);
	show(q, 0);
	IS_BROKEN("loop of empty descriptors");
}

VV_TEST(readable_descriptor_behind_a_writable_one)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, VV_PAGE);

	BEGIN();
	good_chain(q, q->desc);
	q->desc[0].flags |= W;
	q->desc[1].flags &= ~W;
	show(q, 0);
	IS_BROKEN("direct");

	NEED(VV_F_INDIRECT);
	BEGIN();
	good_chain(q, table);
	table[0].flags |= W;
	table[1].flags &= ~W;
	indirect(q, table, 48);
	show(q, 0);
	IS_BROKEN("indirect");
}

VV_TEST(indirect_was_not_negotiated)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, VV_PAGE);

	begin(_metadata, &self->dev, self->dev.offered & ~VV_F_INDIRECT);
	good_chain(q, table);
	indirect(q, table, 48);
	show(q, 0);
	IS_BROKEN("indirect");
}

VV_TEST(indirect_in_indirect)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, VV_PAGE);
	int i;

	NEED(VV_F_INDIRECT);
	for (i = 0; i < 3; i++) {
		BEGIN();
		good_chain(q, table);
		good_chain(q, table + 8);
		put_desc(&table[i], vv_iova(q->dev, table + 8), 48,
			 VRING_DESC_F_INDIRECT, 0);
		indirect(q, table, 48);
		show(q, 0);
		IS_BROKEN("nested");
	}
}

VV_TEST(indirect_with_next)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, VV_PAGE);

	NEED(VV_F_INDIRECT);
	BEGIN();
	good_chain(q, table);
	good_chain(q, q->desc);
	indirect(q, table, 48);
	q->desc[0].flags |= VRING_DESC_F_NEXT;
	q->desc[0].next = 1;
	show(q, 0);
	IS_BROKEN("NEXT");

	/* The last one of a chain may be indirect, one in the middle not. */
	BEGIN();
	good_chain(q, q->desc);
	put_desc(&q->desc[1], vv_iova(q->dev, table + 1), 32,
		 VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 2);
	show(q, 0);
	IS_BROKEN("in the middle");
}

VV_TEST(indirect_table_of_bad_length)
{
	static const __u32 lens[] = {
		0, 1, 15, 17, 40, 49, 63, 1025 * 16, 65536 * 16, 0xfffffff0,
		0xffffffff,
	};
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, 6 * VV_PAGE);
	size_t i;

	NEED(VV_F_INDIRECT);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		BEGIN();
		good_chain(q, table);
		indirect(q, table, lens[i]);
		show(q, 0);
		IS_BROKEN("length");
	}
}

VV_TEST(indirect_table_loops_or_leaves_itself)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, VV_PAGE);

	NEED(VV_F_INDIRECT);
	BEGIN();
	good_chain(q, table);
	table[1].next = 1;
	indirect(q, table, 48);
	show(q, 0);
	IS_BROKEN("loop");

	/* and one that has no segments to run out of */
	BEGIN();
	good_chain(q, table);
	table[1].len = 0;
	table[1].next = 1;
	indirect(q, table, 48);
	show(q, 0);
	IS_BROKEN("empty loop");

	BEGIN();
	good_chain(q, table);
	table[1].next = 3;
	indirect(q, table, 48);
	show(q, 0);
	IS_BROKEN("next");

	BEGIN();
	good_chain(q, table);
	indirect(q, table, 32);
	show(q, 0);
	IS_BROKEN("cut off");
}

/* The longest table there can be, and one more before it. */
VV_TEST(indirect_table_behind_others_is_too_long)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_desc *table = vv_alloc(&self->dev, VV_MAX_NUM * 16);
	__u64 addr = vv_iova(&self->dev, &q->slot[1]);
	unsigned int i;

	NEED(VV_F_INDIRECT);
	for (i = 0; i < VV_MAX_NUM; i++)
		put_desc(&table[i], addr, 1, VRING_DESC_F_NEXT | W,
			 i + 1);
	BEGIN();
	good_chain(q, q->desc);
	put_desc(&q->desc[1], vv_iova(q->dev, table), VV_MAX_NUM * 16,
		 VRING_DESC_F_INDIRECT, 0);
	table[VV_MAX_NUM - 1] = q->desc[2];
	show(q, 0);
	IS_BROKEN("too long");
}

VV_TEST(indirect_table_is_not_mapped)
{
	static const __u64 addrs[] = { 0, 0xfff0, ~0ULL - 47, ~0ULL, 1ULL << 40 };
	struct vv_queue *q = &self->dev.vq[0];
	size_t i;

	NEED(VV_F_INDIRECT);
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		BEGIN();
		put_desc(&q->desc[0], addrs[i], 48, VRING_DESC_F_INDIRECT, 0);
		show(q, 0);
		IS_BROKEN("address");
	}
	/* half of it */
	BEGIN();
	put_desc(&q->desc[0], self->dev.iova + vv_mem_size - 16, 48,
		 VRING_DESC_F_INDIRECT, 0);
	good_chain(q, (void *)(self->dev.mem + vv_mem_size - 16 - 48));
	*(struct vring_desc *)(self->dev.mem + vv_mem_size - 16) =
		*(struct vring_desc *)(self->dev.mem + vv_mem_size - 64);
	show(q, 0);
	IS_BROKEN("half");
}

VV_TEST(ring_part_not_mapped_or_not_permitted)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t d = (char *)q->avail - (char *)q->desc;
	size_t a = (char *)q->used - (char *)q->avail;
	size_t rest = vv_mem_size - d - a;
	static const struct {
		__u8 desc, avail, used;
	} perm[] = {
		{ 0, VHOST_ACCESS_RW, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, 0, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, VHOST_ACCESS_RW, 0 },
		{ VHOST_ACCESS_WO, VHOST_ACCESS_RW, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, VHOST_ACCESS_WO, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, VHOST_ACCESS_RW, VHOST_ACCESS_RO },
		{ VHOST_ACCESS_WO, VHOST_ACCESS_WO, VHOST_ACCESS_WO },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(perm); i++) {
		ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
					q->used_iova));
		if (perm[i].desc)
			ASSERT_EQ(0, vv_map(dev, q->desc, d, perm[i].desc));
		if (perm[i].avail)
			ASSERT_EQ(0, vv_map(dev, q->avail, a, perm[i].avail));
		if (perm[i].used)
			ASSERT_EQ(0, vv_map(dev, q->used, rest,
					    perm[i].used));
		broken_at_start(_metadata, dev, "part");
	}
}

VV_TEST(random_descriptors)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int seed = vv_seed();
	__u64 addr = vv_iova(&self->dev, q->slot);
	__u16 *word = (__u16 *)q->desc;
	int round, i;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	for (round = 0; round < 50; round++) {
		vv_may_warn++;
		for (i = 0; i < NUM * 8; i++)
			word[i] = rand_r(&seed);
		for (i = 0; i < NUM; i++) {
			q->avail->ring[i] = rand_r(&seed) % NUM;
			/* Some of them right, or no chain had an end. */
			q->desc[i].next %= NUM;
			if (i % 2)
				q->desc[i].addr = addr + 16 * i;
			if (i % 4)
				q->desc[i].flags &= W;
		}
		__atomic_store_n(&q->avail->idx, NUM, __ATOMIC_RELEASE);
		vv_kick_always(q);
		vv_sleep_ms(1);
		ASSERT_EQ(0, vv_reset(&self->dev));
		ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 1,
					NUM));
	}
}

/* QEMU installs its notifier after DRIVER_OK: too late for the first signal. */
VV_TEST(config_interrupt_installed_later_still_tells)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	BEGIN();
	show(q, 0xffff);
	ASSERT_TRUE(vv_config_irq(dev, dev->timeout_ms));
	ASSERT_FALSE(vv_config_irq(dev, 0));
	ASSERT_EQ(0, vv_set_config_call(dev));
	EXPECT_TRUE(vv_config_irq(dev, dev->timeout_ms));
	vv_may_warn++;
}

VV_TEST(misaligned_ring_address_is_refused)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u64 d = q->desc_iova, a = q->avail_iova, u = q->used_iova;

	ASSERT_EQ(0, vv_set_owner(&self->dev));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d + 1, a, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d + 8, a, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a + 1, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a, u + 1));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a, u + 2));
	EXPECT_EQ(0, vv_set_addr_raw(q, d, a, u));
	ASSERT_EQ(0, vv_map_all(&self->dev));
	STILL_SERVES();
}

VV_TEST(many_broken_rings_do_not_fill_the_log)
{
	struct vv_queue *q = &self->dev.vq[0];
	long long start = vv_now_ms();
	int i;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	for (i = 0; i < 100; i++) {
		vv_may_warn++;
		show(q, 0xffff);
		ASSERT_TRUE(vv_config_irq(&self->dev, self->dev.timeout_ms));
		ASSERT_EQ(0, vv_reset(&self->dev));
		ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 1,
					NUM));
	}
	EXPECT_GE(RATE_LINES * (2 + (vv_now_ms() - start) / 5000),
		  vv_klog_count("broken ring", NULL));
}

TEST_HARNESS_MAIN
