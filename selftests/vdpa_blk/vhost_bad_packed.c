// SPDX-License-Identifier: GPL-2.0-only
/* Packed rings no driver would make, see vhost_bad_rings.c. */
#define VV_VARIANTS
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

VV_VARIANT(packed, VV_F_PACKED);

#define NEXT		VRING_DESC_F_NEXT
#define INDIRECT	VRING_DESC_F_INDIRECT

/* The place that the device will look at next. */
static __u16 place(struct vv_queue *q)
{
	return vv_used_base(q) & 0xffff;
}

/* A descriptor by hand, @i behind the next place; not available. */
static struct vring_packed_desc *put(struct vv_queue *q, unsigned int i,
				     __u64 addr, __u32 len, __u16 flags)
{
	__u16 at = vv_place_add(q, place(q), i);
	struct vring_packed_desc *d = &q->packed_desc[at & ~VV_WRAP];

	d->addr = addr;
	d->len = len;
	d->id = 7;
	/* As it would be from the turn before. */
	d->flags = flags | vv_used_flags(~at);
	return d;
}

static void show(struct vv_queue *q)
{
	show_packed(q, place(q));
	vv_kick_always(q);
}

/* A read of one sector: what a test then spoils. */
static void good_segs(struct vv_queue *q, struct vv_seg *seg)
{
	struct vv_slot *slot = &q->slot[0];

	slot->hdr.type = T_IN;
	slot->hdr.sector = 0;
	seg[0] = (struct vv_seg){ vv_iova(q->dev, &slot->hdr), 16, 0 };
	seg[1] = (struct vv_seg){ vv_iova(q->dev, &slot[1]), VV_SECTOR, W };
	seg[2] = (struct vv_seg){ vv_iova(q->dev, &slot->status), 1, W };
}

static void put_table(struct vring_packed_desc *table,
		      const struct vv_seg *seg, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		table[i].addr = seg[i].iova;
		table[i].len = seg[i].len;
		table[i].id = 0xffff;
		table[i].flags = seg[i].flags;
	}
}

VV_TEST(list_without_an_end)
{
	static const __u32 lens[] = { 0, 16 };
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int i;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(lens); k++) {
		BEGIN();
		for (i = 0; i < NUM; i++)
			put(q, i, vv_iova(q->dev, q->slot), lens[k], NEXT);
		show(q);
		IS_BROKEN("as long as the ring");
	}
}

VV_TEST(readable_descriptor_behind_a_writable_one)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_packed_desc *table = vv_alloc(&self->dev, VV_PAGE);
	__u64 addr = vv_iova(&self->dev, q->slot);
	struct vv_seg seg[3];

	BEGIN();
	put(q, 0, addr, 16, NEXT | W);
	put(q, 1, addr, 16, 0);
	show(q);
	IS_BROKEN("direct");

	NEED(VV_F_INDIRECT);
	BEGIN();
	good_segs(q, seg);
	put_table(table, seg, 3);
	table[0].flags = W;
	table[1].flags = 0;
	put(q, 0, vv_iova(q->dev, table), 48, INDIRECT);
	show(q);
	IS_BROKEN("indirect");
}

VV_TEST(indirect_where_it_must_not_be)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_packed_desc *table = vv_alloc(&self->dev, VV_PAGE);
	__u64 addr = vv_iova(&self->dev, table);
	struct vv_seg seg[3];

	begin(_metadata, &self->dev, self->dev.offered & ~VV_F_INDIRECT);
	good_segs(q, seg);
	put_table(table, seg, 3);
	put(q, 0, addr, 48, INDIRECT);
	show(q);
	IS_BROKEN("not negotiated");

	NEED(VV_F_INDIRECT);
	BEGIN();
	put(q, 0, addr, 48, INDIRECT | NEXT);
	put(q, 1, seg[0].iova, 16, 0);
	show(q);
	IS_BROKEN("NEXT");

	BEGIN();
	put(q, 0, seg[0].iova, 16, NEXT);
	put(q, 1, addr, 48, INDIRECT);
	show(q);
	IS_BROKEN("in a list");
}

VV_TEST(indirect_table_of_bad_length_or_address)
{
	static const __u32 lens[] = {
		0, 1, 15, 17, 40, 1025 * 16, 65536 * 16, 0xfffffff0, 0xffffffff,
	};
	static const __u64 addrs[] = { 0, 0xfff0, ~0ULL - 47, ~0ULL, 1ULL << 40 };
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_packed_desc *table = vv_alloc(&self->dev, 6 * VV_PAGE);
	struct vv_seg seg[3];
	size_t i;

	NEED(VV_F_INDIRECT);
	good_segs(q, seg);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		BEGIN();
		put_table(table, seg, 3);
		put(q, 0, vv_iova(q->dev, table), lens[i], INDIRECT);
		show(q);
		IS_BROKEN("length");
	}
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		BEGIN();
		put(q, 0, addrs[i], 48, INDIRECT);
		show(q);
		IS_BROKEN("address");
	}
	/* half of it */
	BEGIN();
	put(q, 0, self->dev.iova + vv_mem_size - 16, 48, INDIRECT);
	show(q);
	IS_BROKEN("half");
}

/* Neither is its flags but WRITE, nor WRITE of the one that has it. */
VV_TEST(reserved_flags_of_an_indirect_table_do_not_count)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_packed_desc *table = vv_alloc(&self->dev, VV_PAGE);
	struct vv_seg seg[3];
	__u16 at;

	NEED(VV_F_INDIRECT);
	BEGIN();
	at = place(q);
	good_segs(q, seg);
	put_table(table, seg, 3);
	table[0].flags |= (__u16)~W;
	table[2].flags |= 0xffff;
	q->slot[0].status = 0xff;
	put(q, 0, vv_iova(q->dev, table), 48, INDIRECT | W);
	/* For vv_wait() to look where the answer comes. */
	q->last_used = at;
	show(q);
	ASSERT_EQ(0, vv_wait(q));
	EXPECT_EQ(S_OK, q->slot[0].status);
	EXPECT_EQ(7, q->packed_desc[at & ~VV_WRAP].id);
	EXPECT_EQ(VV_SECTOR + 1, q->packed_desc[at & ~VV_WRAP].len);
}

/* Neither the driver's wish for interrupts nor the rest of a ring can hurt. */
VV_TEST(any_event_suppression_is_harmless)
{
	static const __u16 places[] = { 0, NUM, NUM | VV_WRAP, 0x7fff, 0xffff };
	static const __u16 flags[] = { 2, 3, 4, 0xfffe, 0xffff };
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int i, k;
	char *buf;

	BEGIN();
	buf = vv_alloc(&self->dev, VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		for (k = 0; k < ARRAY_SIZE(flags); k++) {
			q->driver->off_wrap = places[i];
			q->driver->flags = flags[k];
			ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
			vv_kick_always(q);
			ASSERT_EQ(0, vv_wait(q));
			ASSERT_LE(0, vv_get(q, NULL));
		}
	}
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

/* Neither of this turn nor used, in all the ways there are. */
VV_TEST(wrap_counters_that_are_garbage)
{
	static const __u16 pairs[] = { 0, VV_WRAP };
	struct vv_queue *q = &self->dev.vq[0];
	__u16 at, shown;
	unsigned int i;

	BEGIN();
	at = place(q);
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		/* used of this turn, used of the other */
		put(q, 0, 0, 0, 0)->flags = vv_used_flags(pairs[i]);
		vv_kick_always(q);
		vv_sleep_ms(5);
		EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	}
	/* available in the turn to come */
	put(q, 0, 0, 0, 0)->flags = vv_avail_flags(~at);
	vv_kick_always(q);
	vv_sleep_ms(5);
	shown = q->packed_desc[at & ~VV_WRAP].flags;
	EXPECT_EQ(vv_avail_flags(~at), shown);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	put(q, 0, 0, 0, 0);
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* A whole ring that is available over and over again, though it was used. */
VV_TEST(descriptors_available_of_every_turn)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_slot *slot = &q->slot[0];
	int i, k;

	BEGIN();
	slot->hdr.type = T_FLUSH;
	for (i = 0; i < 200; i++) {
		for (k = 0; k < NUM; k++) {
			q->packed_desc[k].addr = vv_iova(q->dev, &slot->hdr);
			q->packed_desc[k].len = 16;
			__atomic_store_n(&q->packed_desc[k].flags,
					 vv_avail_flags(i & 1 ? VV_WRAP : 0),
					 __ATOMIC_RELEASE);
		}
		vv_kick_always(q);
	}
	vv_may_warn++;
	EXPECT_EQ(VV_S_LIVE, vv_get_status(q->dev) & ~VV_S_NEEDS_RESET);
}

/* The rest of a chain is what is there: here an old one's, without a status. */
VV_TEST(chain_whose_rest_is_not_there)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_packed_desc *last;
	struct vv_seg seg[3];
	__u16 at;

	BEGIN();
	at = place(q);
	good_segs(q, seg);
	q->slot[0].status = 0xff;
	put(q, 0, seg[0].iova, seg[0].len, NEXT);
	last = put(q, 1, 0, 0, 0);
	last->id = 0xbeef;
	q->last_used = at;
	show(q);
	ASSERT_EQ(0, vv_wait(q));
	EXPECT_EQ(0xbeef, q->packed_desc[at & ~VV_WRAP].id);
	EXPECT_EQ(0, q->packed_desc[at & ~VV_WRAP].len);
	EXPECT_EQ(0xff, q->slot[0].status);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

/* It is the driver's, and may be no index of anything. */
VV_TEST(any_buffer_id_comes_back)
{
	static const __u16 ids[] = { 0, NUM, 1024, 0x7fff, 0x8000, 0xffff };
	struct vv_queue *q = &self->dev.vq[0];
	struct vring_packed_desc *d, *table;
	__u64 hdr = vv_iova(q->dev, &q->slot[0].hdr);
	size_t i;
	__u16 at;

	table = vv_alloc(&self->dev, VV_PAGE);
	put_table(table, &(struct vv_seg){ hdr, 16, 0 }, 1);

	for (i = 0; i < 2 * ARRAY_SIZE(ids); i++) {
		BEGIN();
		at = place(q);
		if (i % 2 && self->dev.offered & VV_F_INDIRECT)
			d = put(q, 0, vv_iova(q->dev, table), 16, INDIRECT);
		else
			d = put(q, 0, hdr, 16, 0);
		d->id = ids[i / 2];
		q->last_used = at;
		show(q);
		ASSERT_EQ(0, vv_wait(q));
		EXPECT_EQ(ids[i / 2], d->id);
		EXPECT_EQ(0, d->len);
		EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	}
}

VV_TEST(random_descriptors)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int seed = vv_seed();
	__u64 addr = vv_iova(&self->dev, q->slot);
	__u16 *word = (__u16 *)q->packed_desc;
	int round, i;

	ASSERT_EQ(0, vv_start(&self->dev, self->dev.offered, 1, NUM));
	for (round = 0; round < 50; round++) {
		vv_may_warn++;
		for (i = 0; i < NUM * 8; i++)
			word[i] = rand_r(&seed);
		/* Some of them in memory that is there. */
		for (i = 0; i < NUM; i += 2)
			q->packed_desc[i].addr = addr + 16 * i;
		show(q);
		vv_sleep_ms(1);
		ASSERT_EQ(0, vv_reset(&self->dev));
		ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 1,
					NUM));
	}
}

/* ---- the start ---- */

VV_TEST(state_that_is_no_place_in_the_ring)
{
	static const __u32 bases[] = {
		NUM * 0x10001, 0x7fff7fff, 0xffffffff,
		/* one of the two */
		0x80008000 | NUM, 0x80008000 | NUM << 16, 0x8005 | NUM << 16,
		/* used before it was available, or more than the ring apart */
		0x80018000, 0x80000001, 0x00010000, 0x00018002,
	};
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
					q->used_iova));
		ASSERT_EQ(0, vv_map_all(dev));
		ASSERT_EQ(0, vv_set_base(q, bases[i]));
		EXPECT_EQ(bases[i], vv_get_base(q));
		broken_at_start(_metadata, dev, "state");
	}
}

/*
 * What another device had taken and not given back is not ours: the next
 * chain's answer goes where that one's would have gone.
 */
VV_TEST(used_place_behind_the_available_one)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	int lost, head;
	char *buf;

	ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
				q->used_iova));
	ASSERT_EQ(0, vv_map_all(dev));
	buf = vv_alloc(dev, VV_PAGE);
	q->indirect = false;
	lost = vv_submit(q, T_IN, 0, buf, 512);
	ASSERT_LE(0, lost);
	ASSERT_EQ(0, vv_set_base(q, 0x80008003));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	EXPECT_EQ(0x80008003, vv_get_base(q));
	head = vv_submit(q, T_IN, 0, buf, 512);
	ASSERT_LE(0, head);
	vv_kick(q);
	ASSERT_EQ(0, vv_wait(q));
	EXPECT_EQ(head, vv_get(q, NULL));
	EXPECT_EQ(S_OK, q->slot[head].status);
	EXPECT_EQ(0xff, q->slot[lost].status);
	ASSERT_EQ(0, vv_suspend(dev));
	EXPECT_EQ(0x80038006, vv_get_base(q));
}

/* All of the ring is at work, as its state says, and there is one more. */
VV_TEST(chain_where_the_ring_is_full)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];

	ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
				q->used_iova));
	ASSERT_EQ(0, vv_map_all(dev));
	ASSERT_EQ(0, vv_set_base(q, 0x80000000));
	q->packed_desc[0].flags = vv_avail_flags(0);
	broken_at_start(_metadata, dev, "full");
}

VV_TEST(ring_part_not_mapped_or_not_permitted)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t d = (char *)q->avail - (char *)q->desc;
	size_t a = (char *)q->used - (char *)q->avail;
	size_t rest = vv_mem_size - d - a;
	static const struct {
		__u8 desc, driver, device;
	} perm[] = {
		{ 0, VHOST_ACCESS_RW, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, 0, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, VHOST_ACCESS_RW, 0 },
		{ VHOST_ACCESS_RO, VHOST_ACCESS_RW, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_WO, VHOST_ACCESS_RW, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, VHOST_ACCESS_WO, VHOST_ACCESS_RW },
		{ VHOST_ACCESS_RW, VHOST_ACCESS_RW, VHOST_ACCESS_RO },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(perm); i++) {
		ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
					q->used_iova));
		if (perm[i].desc)
			ASSERT_EQ(0, vv_map(dev, q->desc, d, perm[i].desc));
		if (perm[i].driver)
			ASSERT_EQ(0, vv_map(dev, q->avail, a, perm[i].driver));
		if (perm[i].device)
			ASSERT_EQ(0, vv_map(dev, q->used, rest,
					    perm[i].device));
		broken_at_start(_metadata, dev, "part");
	}
}

/* And no more than that: the driver's part RO, the device's WO. */
VV_TEST(least_permissions)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t d = (char *)q->avail - (char *)q->desc;
	size_t a = (char *)q->used - (char *)q->avail;
	size_t u = q->ring_size - d - a;

	ASSERT_EQ(0, prepare_at(dev, q->desc_iova, q->avail_iova,
				q->used_iova));
	ASSERT_EQ(0, vv_map(dev, q->desc, d, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_map(dev, q->avail, a, VHOST_ACCESS_RO));
	ASSERT_EQ(0, vv_map(dev, q->used, u, VHOST_ACCESS_WO));
	ASSERT_EQ(0, vv_map(dev, (char *)q->used + u, vv_mem_size - d - a - u,
			    VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_set_status(dev, VV_S_LIVE));
	EXPECT_EQ(0, vv_good_client(q, 5));
}

VV_TEST(misaligned_ring_address_is_refused)
{
	struct vv_queue *q = &self->dev.vq[0];
	__u64 d = q->desc_iova, a = q->avail_iova, u = q->used_iova;

	ASSERT_EQ(0, vv_set_owner(&self->dev));
	ASSERT_EQ(0, vv_set_features(&self->dev, self->dev.offered));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d + 8, a, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a + 1, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a + 2, u));
	EXPECT_EQ(-EINVAL, vv_set_addr_raw(q, d, a, u + 2));
	EXPECT_EQ(0, vv_set_addr_raw(q, d + 16, a + 4, u + 4));
	ASSERT_EQ(0, vv_map_all(&self->dev));
	STILL_SERVES();
}

TEST_HARNESS_MAIN
