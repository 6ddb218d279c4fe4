// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request may be cut into descriptors in any way: the device must not care.
 * Each test runs on direct and indirect chains, with EVENT_IDX and without, and
 * in packed rings.
 */
#define VV_VARIANTS
#include "vhost_test.h"

bool vv_share_disk = true;
bool vv_abuse = true;

#define SEG_MAX	254
#define NUM	512	/* room for SEG_MAX + 1 data segments in the ring */

VV_VARIANT(direct, 0);
VV_VARIANT(indirect, VV_F_INDIRECT);
VV_VARIANT(direct_event_idx, VV_F_EVENT_IDX);
VV_VARIANT(indirect_event_idx, VV_F_INDIRECT | VV_F_EVENT_IDX);
VV_VARIANT(packed_direct_event_idx, VV_F_PACKED | VV_F_EVENT_IDX);
VV_VARIANT(packed_indirect, VV_F_PACKED | VV_F_INDIRECT);

/* One request in the making. */
struct layout {
	struct vv_queue *q;
	struct virtio_blk_outhdr *hdr;
	__u8 *status;
	struct vring_desc *table;
	struct vv_seg seg[VV_MAX_NUM];
	unsigned int n;
};

static struct layout lay;

#define START_LAYOUT() \
	do { \
		__u64 bits = self->dev.offered & \
			     ~(VV_F_INDIRECT | VV_F_EVENT_IDX); \
		\
		ASSERT_EQ(0, vv_start(&self->dev, bits | variant->features, 1, \
				      NUM)); \
		layout_init(&self->dev, variant->features & VV_F_INDIRECT); \
	} while (0)

static void layout_init(struct vv_dev *dev, bool indirect)
{
	char *page = vv_alloc(dev, VV_PAGE);

	lay.q = &dev->vq[0];
	lay.q->indirect = indirect;
	lay.hdr = (void *)page;
	lay.status = (void *)(page + 100);
	lay.table = vv_alloc(dev, VV_MAX_NUM * sizeof(struct vring_desc));
}

static void layout_begin(__u32 type, __u64 sector)
{
	lay.hdr->type = type;
	lay.hdr->ioprio = 0;
	lay.hdr->sector = sector;
	*lay.status = 0xff;
	lay.n = 0;
}

static void add(const void *ptr, __u32 len, __u16 flags)
{
	lay.seg[lay.n++] = (struct vv_seg){ vv_iova(lay.q->dev, ptr), len,
					    flags };
}

/* Any length in pieces of @piece bytes. */
static void add_pieces(void *ptr, __u32 len, __u32 piece, __u16 flags)
{
	__u32 off;

	for (off = 0; off < len; off += piece)
		add((char *)ptr + off, len - off < piece ? len - off : piece,
		    flags);
}

static int submit(__u32 *used)
{
	int head;

	if (lay.q->indirect)
		head = vv_add_indirect(lay.q, lay.table, lay.seg, lay.n);
	else
		head = vv_add(lay.q, lay.seg, lay.n);
	return vv_finish(lay.q, head, lay.status, used);
}

VV_TEST(header_in_pieces)
{
	static const __u32 pieces[] = { 16, 15, 8, 7, 4, 3, 1 };
	__u32 used;
	char *buf;
	size_t i;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, 1024);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		vv_fill(buf, 1024, i);
		layout_begin(T_OUT, i * 3);
		add_pieces(lay.hdr, 16, pieces[i], 0);
		add(buf, 1024, 0);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(&used));
		EXPECT_EQ(1, used);
		layout_begin(T_IN, i * 3);
		add_pieces(lay.hdr, 16, pieces[i], 0);
		memset(buf, 0, 1024);
		add(buf, 1024, W);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(&used));
		EXPECT_EQ(1025, used);
		EXPECT_EQ(-1, vv_differs(buf, 1024, i));
	}
}

VV_TEST(header_and_data_share_a_descriptor)
{
	char *buf;
	__u32 split;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, VV_PAGE);
	for (split = 0; split <= 512; split += 64) {
		layout_begin(T_OUT, 40);
		memcpy(buf, lay.hdr, 16);
		vv_fill(buf + 16, 512, split);
		add(buf, 16 + split, 0);
		if (split < 512)
			add(buf + 16 + split, 512 - split, 0);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(NULL));
		memset(buf, 0, 512);
		EXPECT_EQ(S_OK, vv_blk(lay.q, T_IN, 40, buf, 512));
		EXPECT_EQ(-1, vv_differs(buf, 512, split));
	}
}

VV_TEST(status_shares_the_data_descriptor)
{
	__u32 used, split;
	char *buf;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, 512, 1);
	ASSERT_EQ(S_OK, vv_blk(lay.q, T_OUT, 9, buf, 512));
	for (split = 0; split <= 512; split += 128) {
		layout_begin(T_IN, 9);
		memset(buf, 0x55, 520);
		add(lay.hdr, 16, 0);
		if (split)
			add(buf, split, W);
		add(buf + split, 512 - split + 1, W);
		lay.status = (__u8 *)buf + 512;
		*lay.status = 0xff;
		EXPECT_EQ(S_OK, submit(&used));
		EXPECT_EQ(513, used);
		EXPECT_EQ(-1, vv_differs(buf, 512, 1));
		EXPECT_EQ(0x55, buf[513]);
	}
}

/* The status byte is the last writable one, whatever its descriptor is. */
VV_TEST(flush_with_spare_writable_bytes_puts_status_last)
{
	char *buf;
	__u32 used;

	START_LAYOUT();
	NEED(F(FLUSH));
	buf = vv_alloc(&self->dev, VV_PAGE);
	memset(buf, 0x55, 16);
	layout_begin(T_FLUSH, 0);
	add(lay.hdr, 16, 0);
	add(buf, 8, W);
	lay.status = (__u8 *)buf + 7;
	EXPECT_EQ(S_OK, submit(&used));
	EXPECT_EQ(0x55, buf[6]);
	EXPECT_EQ(0x55, buf[8]);
}

VV_TEST(data_in_up_to_254_segments)
{
	static const unsigned int counts[] = { 1, 2, 3, 17, 128, 253, 254 };
	unsigned int i, s, n;
	__u32 used;
	char *buf;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, SEG_MAX * 512);
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		n = counts[i];
		vv_fill(buf, n * 512, i);
		layout_begin(T_OUT, 0);
		add(lay.hdr, 16, 0);
		/* back to front, so that nothing can be merged */
		for (s = n; s-- > 0; )
			add(buf + s * 512, 512, 0);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(&used));
		memset(buf, 0, n * 512);
		layout_begin(T_IN, 0);
		add(lay.hdr, 16, 0);
		for (s = n; s-- > 0; )
			add(buf + s * 512, 512, W);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(&used));
		EXPECT_EQ(n * 512 + 1, used);
		EXPECT_EQ(-1, vv_differs(buf, n * 512, i))
			TH_LOG("%u segments", n);
	}
}

VV_TEST(more_data_segments_than_seg_max_are_refused)
{
	unsigned int s;
	__u32 used;
	char *buf;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, 256 * 512);
	vv_fill(buf, 512, 1);
	ASSERT_EQ(S_OK, vv_blk(lay.q, T_OUT, 0, buf, 512));
	layout_begin(T_OUT, 0);
	add(lay.hdr, 16, 0);
	for (s = 0; s < SEG_MAX + 1; s++)
		add(buf + 512 + s * 8, 512, 0);
	add(lay.status, 1, W);
	EXPECT_EQ(S_IOERR, submit(&used));
	EXPECT_EQ(1, used);
	layout_begin(T_IN, 0);
	add(lay.hdr, 16, 0);
	for (s = 0; s < SEG_MAX + 1; s++)
		add(buf + 512 + s * 8, 512, W);
	add(lay.status, 1, W);
	EXPECT_EQ(S_IOERR, submit(&used));
	EXPECT_EQ(1, used);
	/* The queue goes on and the refused write did nothing. */
	ASSERT_EQ(S_OK, vv_blk(lay.q, T_IN, 0, buf, 512));
	EXPECT_EQ(-1, vv_differs(buf, 512, 1));
}

VV_TEST(segments_of_odd_length_and_address)
{
	static const __u32 pieces[] = { 1, 3, 7, 63, 511, 513, 4095, 4097 };
	unsigned int i;
	char *buf;
	__u32 len;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, 5 * VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		len = pieces[i] * 200 < 16384 ? pieces[i] * 200 / 512 * 512 :
						16384;
		if (!len)
			len = pieces[i] < 3 ? 0 : 512;
		vv_fill(buf + 3, len, i);
		layout_begin(T_OUT, 11);
		add(lay.hdr, 16, 0);
		add_pieces(buf + 3, len, pieces[i], 0);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(NULL));
		memset(buf, 0, 5 * VV_PAGE);
		layout_begin(T_IN, 11);
		add(lay.hdr, 16, 0);
		add_pieces(buf + 3, len, pieces[i], W);
		add(lay.status, 1, W);
		ASSERT_EQ(S_OK, submit(NULL));
		EXPECT_EQ(-1, vv_differs(buf + 3, len, i))
			TH_LOG("pieces of %u", pieces[i]);
		EXPECT_EQ(0, buf[2]);
		EXPECT_EQ(0, buf[3 + len]);
	}
}

VV_TEST(zero_length_descriptors_are_skipped)
{
	unsigned int i;
	__u32 used;
	char *buf;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, 1024, 1);
	layout_begin(T_OUT, 5);
	add(lay.hdr, 0, 0);
	add(lay.hdr, 16, 0);
	add(buf, 0, 0);
	add(buf, 512, 0);
	add(buf, 0, 0);
	add(buf + 512, 512, 0);
	add(buf, 0, 0);
	add(buf, 0, W);
	add(lay.status, 1, W);
	add(buf, 0, W);
	ASSERT_EQ(S_OK, submit(&used));
	EXPECT_EQ(1, used);

	memset(buf, 0, 1024);
	layout_begin(T_IN, 5);
	add_pieces(lay.hdr, 8, 8, 0);
	add(buf, 0, 0);
	add_pieces((char *)lay.hdr + 8, 8, 8, 0);
	for (i = 0; i < 300; i++)	/* more than seg_max, all of them empty */
		add(buf, 0, W);
	add(buf, 1024, W);
	add(buf, 0, W);
	add(lay.status, 1, W);
	add(buf, 0, W);
	ASSERT_EQ(S_OK, submit(&used));
	EXPECT_EQ(1025, used);
	EXPECT_EQ(-1, vv_differs(buf, 1024, 1));
}

/* Nobody maps what an empty descriptor points at. */
VV_TEST(zero_length_descriptor_may_point_anywhere)
{
	char *buf;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, 512, 3);
	ASSERT_EQ(S_OK, vv_blk(lay.q, T_OUT, 0, buf, 512));
	memset(buf, 0, 512);
	layout_begin(T_IN, 0);
	add(lay.hdr, 16, 0);
	lay.seg[lay.n++] = (struct vv_seg){ ~0ULL, 0, W };
	add(buf, 512, W);
	lay.seg[lay.n++] = (struct vv_seg){ 0, 0, W };
	add(lay.status, 1, W);
	EXPECT_EQ(S_OK, submit(NULL));
	EXPECT_EQ(-1, vv_differs(buf, 512, 3));
}

VV_TEST(every_part_may_straddle_pages)
{
	char *area;
	__u32 used;

	START_LAYOUT();
	area = vv_alloc(&self->dev, 12 * VV_PAGE);
	lay.hdr = (void *)(area + VV_PAGE - 8);
	lay.table = (void *)(area + 3 * VV_PAGE - 24);
	lay.status = (__u8 *)area + 6 * VV_PAGE - 1;
	layout_begin(T_OUT, 2);
	vv_fill(area + 7 * VV_PAGE - 700, 8192, 4);
	add(lay.hdr, 16, 0);
	add(area + 7 * VV_PAGE - 700, 8192, 0);
	add(lay.status, 1, W);
	EXPECT_EQ(S_OK, submit(&used));
	memset(area + 7 * VV_PAGE - 700, 0, 8192);
	layout_begin(T_IN, 2);
	add(lay.hdr, 16, 0);
	add(area + 7 * VV_PAGE - 700, 8192, W);
	add(lay.status, 1, W);
	EXPECT_EQ(S_OK, submit(&used));
	EXPECT_EQ(-1, vv_differs(area + 7 * VV_PAGE - 700, 8192, 4));
}

/* Neighbours in IOVA, strangers in the table: a buffer may span them. */
VV_TEST(every_part_may_straddle_maps)
{
	struct vv_dev *dev = &self->dev;
	char *area, *cut;
	int i;

	START_LAYOUT();
	area = vv_alloc(dev, 12 * VV_PAGE);
	lay.hdr = (void *)(area + VV_PAGE - 8);
	lay.table = (void *)(area + 3 * VV_PAGE - 24);
	ASSERT_EQ(0, vv_unmap_all(dev));
	ASSERT_EQ(0, vv_map(dev, dev->mem, area - dev->mem, VHOST_ACCESS_RW));
	for (i = 0; i < 12; i++)
		ASSERT_EQ(0, vv_map(dev, area + i * VV_PAGE, VV_PAGE,
				    VHOST_ACCESS_RW));
	cut = area + 12 * VV_PAGE;
	ASSERT_EQ(0, vv_map(dev, cut, dev->mem + vv_mem_size - cut,
			    VHOST_ACCESS_RW));
	layout_begin(T_OUT, 2);
	vv_fill(area + 7 * VV_PAGE - 700, 8192, 4);
	add(lay.hdr, 16, 0);
	add(area + 7 * VV_PAGE - 700, 8192, 0);
	add(lay.status, 1, W);
	EXPECT_EQ(S_OK, submit(NULL));
	memset(area + 7 * VV_PAGE - 700, 0, 8192);
	layout_begin(T_IN, 2);
	add(lay.hdr, 16, 0);
	add(area + 7 * VV_PAGE - 700, 8192, W);
	add(lay.status, 1, W);
	EXPECT_EQ(S_OK, submit(NULL));
	EXPECT_EQ(-1, vv_differs(area + 7 * VV_PAGE - 700, 8192, 4));
}

/* Wait for completions without asking for an interrupt. */
static int spin_until_used(struct vv_queue *q, unsigned int n)
{
	long long end = vv_now_ms() + q->dev->timeout_ms;

	while (vv_nr_used(q) != n)
		if (vv_now_ms() > end)
			return -ETIMEDOUT;
	vv_sleep_ms(50);	/* time for an interrupt that should not come */
	return 0;
}

static int submit_n(struct vv_queue *q, char *buf, unsigned int n)
{
	unsigned int i;
	int head;

	for (i = 0; i < n; i++) {
		head = vv_submit(q, T_IN, 0, buf, 512);
		if (head < 0)
			return head;
		vv_kick(q);
	}
	return 0;
}

static void drop_all(struct vv_queue *q)
{
	while (vv_get(q, NULL) >= 0)
		;
}

VV_TEST(interrupts_come_when_asked_for_and_only_then)
{
	struct vv_queue *q = &self->dev.vq[0];
	unsigned int each;
	char *buf;

	START_LAYOUT();
	/* Entries of the used side that a request takes. */
	each = q->packed && !q->indirect ? 3 : 1;
	buf = vv_alloc(&self->dev, VV_PAGE);
	/* One of each first: the spurious signal of a new call fd is gone. */
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 512));
	vv_sleep_ms(50);
	vv_take_irqs(q);

	if (q->event_idx)
		vv_want_irq(q, 7 * each);
	else
		vv_want_no_irq(q);
	ASSERT_EQ(0, submit_n(q, buf, 7));
	ASSERT_EQ(0, spin_until_used(q, 7));
	EXPECT_EQ(0, vv_take_irqs(q));

	vv_want_irq(q, 7 * each);
	ASSERT_EQ(0, submit_n(q, buf, 1));
	ASSERT_EQ(0, spin_until_used(q, 8));
	EXPECT_EQ(1, vv_take_irqs(q));

	/* used_event stays behind now: silence until it is moved. */
	if (q->event_idx) {
		ASSERT_EQ(0, submit_n(q, buf, 5));
		ASSERT_EQ(0, spin_until_used(q, 13));
		EXPECT_EQ(0, vv_take_irqs(q));
	}
	drop_all(q);
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 512));
}

/* Twenty requests, one kick: what the device sees is all it needs. */
VV_TEST(one_kick_serves_everything_published)
{
	struct vv_queue *q = &self->dev.vq[0];
	char *buf;
	int i;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, 20 * 512);
	for (i = 0; i < 20; i++) {
		vv_fill(buf + i * 512, 512, i);
		ASSERT_LE(0, vv_submit(q, T_OUT, i, buf + i * 512, 512));
	}
	vv_kick(q);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, vv_wait(q));
		ASSERT_LE(0, vv_get(q, NULL));
	}
	/* None, if the worker was just looking at the ring: it looks again. */
	EXPECT_GE(1, q->kicks);
	memset(buf, 0, 20 * 512);
	ASSERT_EQ(S_OK, vv_blk(q, T_IN, 0, buf, 20 * 512));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(-1, vv_differs(buf + i * 512, 512, i));
}

VV_TEST(the_longest_chain_is_1024_or_the_ring)
{
	unsigned int i, n = variant->features & VV_F_INDIRECT ? 1024 :
								NUM;
	char *buf;

	START_LAYOUT();
	buf = vv_alloc(&self->dev, VV_PAGE);
	vv_fill(buf, 512, 8);
	layout_begin(T_OUT, 0);
	add(lay.hdr, 16, 0);
	add(buf, 512, 0);
	for (i = 0; i < n - 3; i++)
		add(buf, 0, 0);
	add(lay.status, 1, W);
	ASSERT_EQ(n, lay.n);
	EXPECT_EQ(S_OK, submit(NULL));
	memset(buf, 0, 512);
	EXPECT_EQ(S_OK, vv_blk(lay.q, T_IN, 0, buf, 512));
	EXPECT_EQ(-1, vv_differs(buf, 512, 8));
}

TEST_HARNESS_MAIN
