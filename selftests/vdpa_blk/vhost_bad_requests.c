// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests no driver would make: each is answered, and the queue goes on.
 */
#define VV_VARIANTS
#include "vhost_bad.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;
bool vv_abuse = true;

VV_VARIANT(split, 0);
VV_VARIANT(packed, VV_F_PACKED);

VV_TEST(request_without_room_for_a_status)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[2];
	__u32 used = 77;

	START();
	seg[0] = header(q, T_FLUSH);
	EXPECT_EQ(0xff, submit(q, seg, 1, &used));
	EXPECT_EQ(0, used);
	seg[1] = NOWHERE(1, W);
	EXPECT_EQ(0xff, submit(q, seg, 2, &used));
	EXPECT_EQ(0, used);
	seg[1] = seg_of(q, q->slot, 0, W);
	EXPECT_EQ(0xff, submit(q, seg, 2, &used));
	EXPECT_EQ(0, used);
	seg[0] = seg_of(q, q->slot, 0, 0);
	EXPECT_EQ(0xff, submit(q, seg, 1, &used));
	EXPECT_EQ(0, used);
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* There is no way to say that it was done, so it must not be done. */
VV_TEST(write_without_room_for_a_status_writes_nothing)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[3];
	__u32 used = 77;
	char *buf;

	START();
	buf = vv_alloc(&self->dev, VV_SECTOR);
	vv_fill(buf, VV_SECTOR, 1);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, VV_SECTOR));
	vv_fill(buf, VV_SECTOR, 2);
	seg[0] = header(q, T_OUT);
	seg[1] = seg_of(q, buf, VV_SECTOR, 0);
	EXPECT_EQ(0xff, submit(q, seg, 2, &used));
	EXPECT_EQ(0, used);
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, VV_SECTOR));
	EXPECT_EQ(-1, vv_differs(buf, VV_SECTOR, 1));
}

VV_TEST(status_in_memory_the_device_may_not_write)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[2];
	__u32 used = 77;
	char *ro;

	START();
	ro = vv_alloc(dev, VV_PAGE);
	ro[0] = 0x55;
	ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 1ULL << 41, VV_PAGE, ro,
			      VHOST_ACCESS_RO));
	seg[0] = header(q, T_FLUSH);
	seg[1] = (struct vv_seg){ 1ULL << 41, 1, W };
	EXPECT_EQ(0xff, submit(q, seg, 2, &used));
	EXPECT_EQ(0, used);
	EXPECT_EQ(0x55, ro[0]);
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(short_or_unreadable_header)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[3];
	__u32 used, len;

	START();
	for (len = 0; len < 16; len++) {
		seg[0] = header(q, T_GET_ID);
		seg[0].len = len;
		seg[1] = status(q);
		EXPECT_EQ(S_IOERR, submit(q, seg, 2, &used));
		EXPECT_EQ(1, used);
	}
	/* none at all, but a status */
	seg[0] = status(q);
	EXPECT_EQ(S_IOERR, submit(q, seg, 1, &used));
	/* nowhere, and half of it */
	seg[0] = NOWHERE(16, 0);
	seg[1] = status(q);
	EXPECT_EQ(S_IOERR, submit(q, seg, 2, &used));
	seg[0] = header(q, T_GET_ID);
	seg[0].len = 8;
	seg[1] = NOWHERE(8, 0);
	seg[2] = status(q);
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, &used));
	EXPECT_EQ(1, used);
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(data_in_memory_the_device_may_not_touch)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[4];
	char *ro, *wo;

	START();
	ro = vv_alloc(dev, VV_PAGE);
	wo = vv_alloc(dev, VV_PAGE);
	memset(ro, 0x55, VV_PAGE);
	vv_fill(wo, VV_PAGE, 1);
	ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 1ULL << 41, VV_PAGE, ro,
			      VHOST_ACCESS_RO));
	ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 1ULL << 42, VV_PAGE, wo,
			      VHOST_ACCESS_WO));
	seg[2] = status(q);
	seg[0] = header(q, T_IN);
	seg[1] = (struct vv_seg){ 1ULL << 41, VV_PAGE, W };
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	EXPECT_EQ(0x55, ro[0]);
	seg[1] = NOWHERE(VV_PAGE, W);
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	seg[0] = header(q, T_GET_ID);
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	seg[0] = header(q, T_OUT);
	seg[1] = (struct vv_seg){ 1ULL << 42, VV_PAGE, 0 };
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	seg[1] = NOWHERE(VV_PAGE, 0);
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	seg[0] = header(q, T_DISCARD);
	seg[1].len = 16;
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	/* out of the end of a map */
	seg[0] = header(q, T_OUT);
	seg[1] = (struct vv_seg){ (1ULL << 41) + 512, VV_PAGE, 0 };
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	/* around the end of the address space */
	seg[1] = (struct vv_seg){ -512ULL, 1024, 0 };
	EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	/* the right way round they work */
	seg[1] = (struct vv_seg){ 1ULL << 41, VV_PAGE, 0 };
	EXPECT_EQ(S_OK, submit(q, seg, 3, NULL));
	seg[0] = header(q, T_IN);
	seg[1] = (struct vv_seg){ 1ULL << 42, VV_PAGE, W };
	EXPECT_EQ(S_OK, submit(q, seg, 3, NULL));
	EXPECT_EQ(0, memcmp(ro, wo, VV_PAGE));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(lengths_that_add_up_to_more_than_4_gib)
{
	static const __u32 types[] = { T_IN, T_OUT, 98, T_DISCARD, 99 };
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[6];
	size_t t;
	int i;

	START();
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		seg[0] = header(q, types[t]);
		for (i = 1; i < 5; i++)
			seg[i] = (struct vv_seg){ vv_iova(q->dev, q->desc),
						  i == 4 ? 4 : 0xffffffff,
						  t % 2 ? 0 : W };
		seg[5] = status(q);
		EXPECT_LE(S_IOERR, submit(q, seg, 6, NULL));
		EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	}
	/* Four times 1 GiB is 0 in 32 bits: it must not pass for empty. */
	seg[0] = header(q, T_OUT);
	for (i = 1; i < 5; i++)
		seg[i] = NOWHERE(1U << 30, 0);
	seg[5] = status(q);
	EXPECT_EQ(S_IOERR, submit(q, seg, 6, NULL));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* What is on the wrong side of a request is neither read nor written. */
VV_TEST(data_on_both_sides)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[4];
	__u32 used;
	char *buf;

	START();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, 1024, 1);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, 512));
	seg[1] = seg_of(q, buf + 1024, 512, 0);
	seg[2] = seg_of(q, buf + 2048, 512, W);
	seg[3] = status(q);
	vv_fill(buf + 1024, 512, 2);
	memset(buf + 2048, 0x55, 512);
	seg[0] = header(q, T_IN);
	EXPECT_EQ(S_OK, submit(q, seg, 4, &used));
	EXPECT_EQ(513, used);
	EXPECT_EQ(-1, vv_differs(buf + 1024, 512, 2));
	EXPECT_EQ(-1, vv_differs(buf + 2048, 512, 1));

	memset(buf + 2048, 0x55, 512);
	seg[0] = header(q, T_OUT);
	EXPECT_EQ(S_OK, submit(q, seg, 4, &used));
	EXPECT_EQ(1, used);
	EXPECT_EQ(0x55, buf[2048]);
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 512));
	EXPECT_EQ(-1, vv_differs(buf, 512, 2));
}

VV_TEST(data_on_the_wrong_side)
{
	static const struct {
		__u32 type;
		__u16 flags;
		int status;
	} cases[] = {
		/* as if there was none */
		{ T_IN, 0, S_OK },
		{ T_OUT, W, S_OK },
		{ T_GET_ID, 0, S_OK },
		{ T_FLUSH, 0, S_OK },
		{ T_FLUSH, W, S_OK },
		/* which here is too little */
		{ T_DISCARD, W, S_IOERR },
		{ T_ZEROES, W, S_IOERR },
		/* Bit 0 once was the direction. */
		{ T_GET_ID | 1, 0, S_UNSUPP },
		{ T_FLUSH | 1, W, S_UNSUPP },
	};
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[3];
	__u32 used;
	size_t i;
	char *buf;

	START();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, 512, 3);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, 512));
	seg[2] = status(q);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(buf, 0x55, 512);
		seg[0] = header(q, cases[i].type);
		seg[1] = seg_of(q, buf, 512, cases[i].flags);
		EXPECT_EQ(cases[i].status, submit(q, seg, 3, &used))
			TH_LOG("type %u", cases[i].type);
		EXPECT_EQ(1, used);
		EXPECT_EQ(0x55, buf[0]);
		EXPECT_EQ(0, memcmp(buf, buf + 1, 511));
	}
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 512));
	EXPECT_EQ(-1, vv_differs(buf, 512, 3));
}

/* One descriptor of up to 2^32 - 1 bytes, of which hardly any are there. */
VV_TEST(descriptors_of_nearly_4_gib)
{
	static const __u32 lens[] = {
		0xffffffff, 0xfffffe00, 0x80000000, 0x7ffffe01,
	};
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[3];
	__u32 used;
	size_t i;
	char *buf;

	START();
	buf = vv_alloc(&self->dev, VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		seg[0] = header(q, T_IN);
		seg[1] = seg_of(q, buf, lens[i], W);
		seg[2] = status(q);
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, &used));
		EXPECT_EQ(1, used);
		seg[0] = header(q, T_OUT);
		seg[1].flags = 0;
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, &used));
		/* the header, with data behind it */
		seg[0].len = lens[i];
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, &used));
		seg[0] = header(q, T_DISCARD);
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, &used));
		/* the status, which is its last byte */
		seg[0] = header(q, T_FLUSH);
		seg[1].flags = W;
		EXPECT_EQ(0xff, submit(q, seg, 2, &used));
		EXPECT_EQ(0, used);
	}
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(addresses_that_wrap)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[3];
	__u32 used;
	size_t i;
	static const struct {
		__u64 iova;
		__u32 len;
	} at[] = {
		{ ~0ULL, 1 }, { ~0ULL, 2 }, { ~0ULL, 512 }, { -512ULL, 512 },
		{ -512ULL, 1024 }, { -16ULL, 0xffffffff },
	};

	START();
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		/* header */
		seg[0] = (struct vv_seg){ at[i].iova, at[i].len, 0 };
		seg[1] = status(q);
		EXPECT_EQ(S_IOERR, submit(q, seg, 2, &used));
		/* data */
		seg[0] = header(q, T_IN);
		seg[1] = (struct vv_seg){ at[i].iova, at[i].len, W };
		seg[2] = status(q);
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, &used));
		EXPECT_EQ(1, used);
		/* status */
		seg[0] = header(q, T_FLUSH);
		EXPECT_EQ(0xff, submit(q, seg, 2, &used));
		EXPECT_EQ(0, used);
	}
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* The device does as it is told, and has read the header by then. */
VV_TEST(status_in_the_header)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_slot *slot = &q->slot[VV_MAX_NUM - 1];
	struct vv_seg seg[2];
	int i, head;
	__u32 used;

	START();
	for (i = 0; i < 16; i++) {
		seg[0] = header(q, T_FLUSH);
		slot->hdr.ioprio = 0xffffffff;
		slot->hdr.sector = ~0ULL;
		seg[1] = seg_of(q, (char *)&slot->hdr + i, 1, W);
		head = vv_add(q, seg, 2);
		EXPECT_EQ(S_OK, vv_finish(q, head, (__u8 *)&slot->hdr + i,
					  &used));
		EXPECT_EQ(1, used);
	}
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/*
 * The disk's contents in place of the ring: the queue goes on or breaks, as what
 * is read there says.
 */
VV_TEST(disk_read_into_the_rings)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[3];
	void *part[3];
	char *buf;
	int i;

	START();
	part[0] = q->desc;
	part[1] = q->avail;
	part[2] = q->used;
	for (i = 0; i < 12; i++) {
		buf = dev->mem + vv_mem_size - VV_PAGE;
		if (i < 3)
			memset(buf, 0, VV_PAGE);
		else if (i < 6)
			memset(buf, 0xff, VV_PAGE);
		else
			vv_fill(buf, VV_PAGE, i);
		ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, VV_PAGE));
		seg[0] = header(q, T_IN);
		seg[1] = seg_of(q, part[i % 3], VV_PAGE, W);
		seg[2] = status(q);
		vv_publish(q, vv_add(q, seg, 3));
		vv_may_warn++;
		vv_kick_always(q);
		vv_sleep_ms(5);
		vv_kick_always(q);
		vv_sleep_ms(1);
		EXPECT_EQ(VV_S_LIVE, vv_get_status(dev) & ~VV_S_NEEDS_RESET);
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
	}
}

/* A thread that changes a header and its descriptors without an end. */
struct flipper {
	struct vv_slot *slot;
	__u32 *len;
	__u16 *flags;
	__u16 next;
	atomic_bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	unsigned int i;

	for (i = 0; !f->stop; i++) {
		static const __u32 types[] = { T_IN, T_OUT, T_DISCARD, 99 };
		static const __u32 lens[] = { 512, 0, 511, 0xffffffff };

		__atomic_store_n(&f->slot->hdr.type, types[i % 4],
				 __ATOMIC_RELAXED);
		__atomic_store_n(&f->slot->hdr.sector, i % 3 ? 8 : ~0ULL,
				 __ATOMIC_RELAXED);
		__atomic_store_n(f->len, lens[i / 4 % 4], __ATOMIC_RELAXED);
		__atomic_store_n(f->flags, f->next | (i & 16 ? W : 0),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Whatever of it the device sees, it sees once, and outside nothing changes. */
VV_TEST(request_changes_while_it_is_read)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_slot *slot = &q->slot[VV_MAX_NUM - 1];
	unsigned int answers[256] = {};
	struct vv_seg seg[3];
	struct vring_packed_desc *packed;
	struct vring_desc *table;
	int i, ret = 0;
	struct flipper f;
	pthread_t t;
	char *buf;

	NEED(VV_F_INDIRECT);
	START();
	buf = vv_alloc(dev, VV_PAGE);
	vv_fill(buf, 1024, 1);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, buf, 1024));
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 9, buf, 1024));
	memset(buf, 0x55, VV_PAGE);
	table = vv_alloc(dev, VV_PAGE);
	packed = (struct vring_packed_desc *)table;
	f = (struct flipper){
		.slot = slot,
		.len = q->packed ? &packed[1].len : &table[1].len,
		.flags = q->packed ? &packed[1].flags : &table[1].flags,
		.next = q->packed ? 0 : VRING_DESC_F_NEXT,
	};
	seg[0] = header(q, T_IN);
	seg[1] = seg_of(q, buf, 512, W);
	seg[2] = status(q);
	ASSERT_EQ(0, pthread_create(&t, NULL, flip, &f));
	for (i = 0; i < 500 && ret >= 0; i++) {
		slot->status = 0xff;
		ret = vv_finish(q, vv_add_indirect(q, table, seg, 3),
				&slot->status, NULL);
		if (ret >= 0)
			answers[ret]++;
	}
	f.stop = true;
	pthread_join(t, NULL);
	EXPECT_LE(0, ret);
	TH_LOG("%u done, %u refused, %u unknown", answers[S_OK],
	       answers[S_IOERR], answers[S_UNSUPP]);
	EXPECT_EQ(500, answers[S_OK] + answers[S_IOERR] + answers[S_UNSUPP]);
	EXPECT_EQ(0x55, buf[512]);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 1024));
	EXPECT_EQ(-1, vv_differs(buf, 1024, 1));
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 9, buf, 1024));
	EXPECT_EQ(-1, vv_differs(buf, 1024, 1));
}

TEST_HARNESS_MAIN
