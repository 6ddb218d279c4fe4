// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients that are wrong, careless or hostile, but whose rings are fine: bad
 * requests, memory that goes away, junk in the config space, steps at the
 * wrong time.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "vhost_test.h"

const char *vv_module_params = "num_queues=8";
bool vv_share_disk = true;

#define WCE	offsetof(struct virtio_blk_config, wce)

/* A request of any segments: its status, or -errno. */
static int submit(struct vv_queue *q, const struct vv_seg *seg, unsigned int n,
		  __u32 *used)
{
	struct vv_slot *slot = &q->slot[VV_MAX_NUM - 1];

	slot->status = 0xff;
	return vv_finish(q, vv_add(q, seg, n), &slot->status, used);
}

static struct vv_seg seg_of(struct vv_queue *q, const void *ptr, __u32 len,
			    __u16 flags)
{
	return (struct vv_seg){ vv_iova(q->dev, ptr), len, flags };
}

static struct vv_seg header(struct vv_queue *q, __u32 type)
{
	struct vv_slot *slot = &q->slot[VV_MAX_NUM - 1];

	slot->hdr.type = type;
	slot->hdr.sector = 0;
	return seg_of(q, &slot->hdr, sizeof(slot->hdr), 0);
}

static struct vv_seg status(struct vv_queue *q)
{
	return seg_of(q, &q->slot[VV_MAX_NUM - 1].status, 1, W);
}

#define NOWHERE(len, flags)	((struct vv_seg){ 1ULL << 40, len, flags })

/*
 * Unmapping drops whole entries of the table, and pages that happen to be
 * neighbours in memory share one. So what a test will unmap alone has to be
 * mapped alone: the pages of queue 0's rings, and @data.
 */
static int map_apart(struct vv_dev *dev, char *data)
{
	struct vv_queue *q = &dev->vq[0];
	char *page[] = { (char *)q->desc, (char *)q->avail, (char *)q->used,
			 data, dev->mem + vv_mem_size };
	char *pos = dev->mem;
	size_t i;
	int ret = vv_unmap_all(dev);

	for (i = 0; !ret && i < ARRAY_SIZE(page); i++) {
		if (page[i] > pos)
			ret = vv_map(dev, pos, page[i] - pos, VHOST_ACCESS_RW);
		pos = page[i] + VV_PAGE;
		if (!ret && pos <= dev->mem + vv_mem_size)
			ret = vv_map(dev, page[i], VV_PAGE, VHOST_ACCESS_RW);
	}
	return ret;
}

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

VV_TEST(read_with_out_data_and_write_with_in_data_end)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct vv_seg seg[4];
	char *buf;

	START();
	buf = vv_alloc(&self->dev, VV_PAGE);
	seg[1] = seg_of(q, buf, 512, 0);
	seg[2] = seg_of(q, buf + 512, 512, W);
	seg[3] = status(q);
	seg[0] = header(q, T_IN);
	EXPECT_GE(S_UNSUPP, submit(q, seg, 4, NULL));
	seg[0] = header(q, T_OUT);
	EXPECT_GE(S_UNSUPP, submit(q, seg, 4, NULL));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

/* Rings, and not a byte more: whatever a descriptor says is out of reach. */
VV_TEST(nothing_mapped_is_nothing_reached)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[3];
	unsigned int shift;

	ASSERT_EQ(0, vv_set_owner(dev));
	ASSERT_EQ(0, vv_map(dev, dev->mem, dev->brk, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_restart(dev, dev->offered, 1, 256));
	for (shift = 9; shift < 64; shift++) {
		__u64 iova = shift == 9 ? 0 : 1ULL << shift;

		if (iova >= dev->iova && iova < dev->iova + dev->brk)
			continue;
		seg[0] = header(q, T_IN);
		seg[1] = (struct vv_seg){ iova, 512, W };
		seg[2] = status(q);
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL))
			TH_LOG("IOVA 1 << %u", shift);
		seg[0] = header(q, T_OUT);
		seg[1].flags = 0;
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
		/* not even by its process address */
		seg[1].iova = (uintptr_t)dev->mem + iova % vv_mem_size;
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	}
}

VV_TEST(overlapping_map_is_refused_and_the_old_one_stays)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *other;

	START();
	other = vv_alloc(dev, VV_PAGE);
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, dev->iova, VV_PAGE,
			      other, VHOST_ACCESS_RW));
	EXPECT_GT(0, vv_map_all(dev));
	EXPECT_GT(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 0, 0, other,
			      VHOST_ACCESS_RW));
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(remapped_iova_leads_to_the_new_pages)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	struct vv_seg seg[3];
	char *a, *b;
	int i;

	START();
	a = vv_alloc(dev, VV_PAGE);
	b = vv_alloc(dev, VV_PAGE);
	vv_fill(a, VV_PAGE, 5);
	ASSERT_EQ(S_OK, vv_blk(q, T_OUT, 0, a, VV_PAGE));
	for (i = 0; i < 20; i++) {
		char *now = i % 2 ? b : a, *other = i % 2 ? a : b;

		memset(now, 0x11, VV_PAGE);
		memset(other, 0x22, VV_PAGE);
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_UPDATE, 1ULL << 41,
				      VV_PAGE, now, VHOST_ACCESS_RW));
		seg[0] = header(q, T_IN);
		seg[1] = (struct vv_seg){ 1ULL << 41, VV_PAGE, W };
		seg[2] = status(q);
		ASSERT_EQ(S_OK, submit(q, seg, 3, NULL));
		EXPECT_EQ(-1, vv_differs(now, VV_PAGE, 5));
		EXPECT_EQ(0x22, other[0]);
		ASSERT_EQ(0, vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, 1ULL << 41,
				      VV_PAGE, NULL, 0));
		EXPECT_EQ(S_IOERR, submit(q, seg, 3, NULL));
	}
}

VV_TEST(maps_of_odd_permission_are_survived)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	static const __u8 perms[] = { 0, 4, 0x80, 0xfc, 0xff };
	char *page;
	size_t i;

	START();
	page = vv_alloc(dev, VV_PAGE);
	for (i = 0; i < ARRAY_SIZE(perms); i++) {
		/* Whether vhost takes it or not is its own business. */
		vv_iotlb(dev, VHOST_IOTLB_UPDATE, 1ULL << 41, VV_PAGE, page,
			 perms[i]);
		ASSERT_EQ(0, vv_good_client(q, i));
		vv_iotlb(dev, VHOST_IOTLB_INVALIDATE, 1ULL << 41, VV_PAGE,
			 NULL, 0);
	}
	/* an end without a begin, and a begin without an end */
	vv_iotlb(dev, VHOST_IOTLB_BATCH_END, 0, 0, NULL, 0);
	vv_iotlb(dev, VHOST_IOTLB_BATCH_BEGIN, 0, 0, NULL, 0);
	EXPECT_EQ(0, vv_good_client(q, 9));
}

/* A thread that does reads of one page until told to stop. */
struct reader {
	struct vv_queue *q;
	char *buf;
	atomic_bool stop;
	atomic_uint ok, ioerr;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	int ret = 0;

	while (!r->stop && ret >= 0) {
		ret = vv_blk(r->q, T_IN, 0, r->buf, VV_PAGE);
		if (ret == S_OK)
			r->ok++;
		else if (ret == S_IOERR)
			r->ioerr++;
		else
			ret = ret < 0 ? ret : -EIO;
	}
	return (void *)(long)(ret < 0 ? ret : 0);
}

/* Waiting for another thread, as long as it takes but not for ever. */
static bool counts(struct reader *r, atomic_uint *counter)
{
	long long end = vv_now_ms() + r->q->dev->timeout_ms;
	unsigned int before = *counter;

	while (*counter == before && vv_now_ms() < end)
		vv_sleep_ms(1);
	return *counter != before;
}

#define READER_START(r, t, queue) \
	do { \
		(r).q = (queue); \
		(r).buf = vv_alloc(&self->dev, VV_PAGE); \
		ASSERT_EQ(0, map_apart(&self->dev, (r).buf)); \
		ASSERT_EQ(0, pthread_create(&(t), NULL, reader_thread, &(r))); \
		ASSERT_TRUE(counts(&(r), &(r).ok)); \
	} while (0)

#define READER_END(r, t) \
	do { \
		void *ret_; \
		\
		(r).stop = true; \
		pthread_join(t, &ret_); \
		EXPECT_EQ(0, (long)ret_); \
	} while (0)

VV_TEST(data_unmapped_and_mapped_again_during_io)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, vv_unmap(dev, r.buf, VV_PAGE));
		if (i % 10 == 0)
			ASSERT_TRUE(counts(&r, &r.ioerr));
		ASSERT_EQ(0, vv_map(dev, r.buf, VV_PAGE, VHOST_ACCESS_RW));
		if (i % 10 == 5)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	TH_LOG("%u reads, %u without their memory", r.ok, r.ioerr);
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(rings_unmapped_and_mapped_again_during_io)
{
	struct vv_dev *dev = &self->dev;
	struct reader r = {};
	char *part[3];
	pthread_t t;
	int i;

	START();
	part[0] = (char *)dev->vq[0].desc;
	part[1] = (char *)dev->vq[0].avail;
	part[2] = (char *)dev->vq[0].used;
	READER_START(r, t, &dev->vq[0]);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, vv_unmap(dev, part[i % 3], VV_PAGE));
		if (i % 5 == 0)
			vv_sleep_ms(2);
		ASSERT_EQ(0, vv_map(dev, part[i % 3], VV_PAGE,
				    VHOST_ACCESS_RW));
		if (i % 5 == 0)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(0, r.ioerr);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(queue_without_its_ring_memory_is_idle)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u16 used;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, map_apart(dev, buf));
	ASSERT_EQ(0, vv_good_client(q, 1));
	used = vv_used_idx(q);
	ASSERT_EQ(0, vv_unmap(dev, q->used, VV_PAGE));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_idx(q));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_map(dev, q->used, VV_PAGE, VHOST_ACCESS_RW));
	/* No kick: the map alone brings it back. */
	ASSERT_EQ(0, vv_wait(q));
	ASSERT_LE(0, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 2));
	/* or a reset */
	ASSERT_EQ(0, vv_unmap(dev, q->desc, VV_PAGE));
	ASSERT_EQ(0, vv_reset(dev));
	ASSERT_EQ(0, vv_map(dev, q->desc, VV_PAGE, VHOST_ACCESS_RW));
	STILL_SERVES();
}

VV_TEST(lost_ring_stays_idle_until_it_is_mapped)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u16 used;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, map_apart(dev, buf));
	ASSERT_EQ(0, vv_good_client(q, 1));
	used = vv_used_idx(q);
	ASSERT_EQ(0, vv_unmap(dev, q->avail, VV_PAGE));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_suspend(dev));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_resume(dev));
	vv_kick_always(q);
	ASSERT_EQ(0, vv_set_enable(q, false));
	ASSERT_EQ(0, vv_set_enable(q, true));
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_idx(q));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(dev));
	ASSERT_EQ(0, vv_map(dev, q->avail, VV_PAGE, VHOST_ACCESS_RW));
	ASSERT_EQ(0, vv_wait(q));
	ASSERT_LE(0, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 2));
}

/* Mapped while suspended: not before resume. */
VV_TEST(lost_ring_mapped_while_suspended_waits_for_resume)
{
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	char *buf;
	__u16 used;

	START();
	buf = vv_alloc(dev, VV_PAGE);
	ASSERT_EQ(0, map_apart(dev, buf));
	ASSERT_EQ(0, vv_good_client(q, 1));
	used = vv_used_idx(q);
	ASSERT_EQ(0, vv_suspend(dev));
	ASSERT_EQ(0, vv_unmap(dev, q->used, VV_PAGE));
	ASSERT_LE(0, vv_submit(q, T_IN, 0, buf, 512));
	ASSERT_EQ(0, vv_map(dev, q->used, VV_PAGE, VHOST_ACCESS_RW));
	vv_kick_always(q);
	vv_sleep_ms(20);
	EXPECT_EQ(used, vv_used_idx(q));
	EXPECT_EQ(used, vv_get_base(q));
	ASSERT_EQ(0, vv_resume(dev));
	ASSERT_EQ(0, vv_wait(q));
	ASSERT_LE(0, vv_get(q, NULL));
	EXPECT_EQ(0, vv_good_client(q, 2));
}

VV_TEST(call_fd_flaps_during_completions)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, q);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, vv_set_call(q, i % 2 ? -1 : self->dev.config_fd));
		/* The reader may have missed one: a new fd is signalled. */
		ASSERT_EQ(0, vv_set_call(q, q->call_fd));
		if (i % 8 == 0)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(0, vv_good_client(q, 1));
}

VV_TEST(queue_enabled_and_disabled_under_load)
{
	struct vv_queue *q = &self->dev.vq[0];
	struct reader r = {};
	pthread_t t;
	int i;

	START();
	READER_START(r, t, q);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, vv_set_enable(q, false));
		ASSERT_EQ(0, vv_set_enable(q, true));
		if (i % 8 == 0)
			ASSERT_TRUE(counts(&r, &r.ok));
	}
	READER_END(r, t);
	EXPECT_EQ(0, r.ioerr);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
}

VV_TEST(ring_size_changed_while_running)
{
	static const unsigned int nums[] = { 1, 1024, 3, 0, 512, 256 };
	struct vv_queue *q = &self->dev.vq[0];
	size_t i;

	START();
	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		vv_set_num(q, nums[i]);
		ASSERT_EQ(0, vv_good_client(q, i));
	}
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	STILL_SERVES();
}

VV_TEST(kick_storms_at_any_time)
{
	struct vv_queue *q = &self->dev.vq[0];
	int i;

	START();
	for (i = 0; i < 500; i++)
		vv_kick_always(q);
	ASSERT_EQ(0, vv_good_client(q, 1));
	EXPECT_EQ(2, vv_used_idx(q));
	ASSERT_EQ(0, vv_reset(&self->dev));
	for (i = 0; i < 500; i++)
		vv_kick_always(q);
	EXPECT_EQ(2, vv_used_idx(q));
	EXPECT_EQ(0, vv_get_status(&self->dev));
	STILL_SERVES();
}

VV_TEST(config_write_changes_wce_and_nothing_else)
{
	char before[96], junk[96], after[96];
	struct vv_dev *dev = &self->dev;
	static const __u8 values[] = { 0, 255, 0, 2, 1, 0x80 };
	size_t i;

	NEED(F(CONFIG_WCE));
	START();
	ASSERT_EQ(0, vv_get_config(dev, 0, before, sizeof(before)));
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		memset(junk, 0xa5 + i, sizeof(junk));
		junk[WCE] = values[i];
		ASSERT_EQ(0, vv_set_config(dev, 0, junk, sizeof(junk)));
		ASSERT_EQ(0, vv_get_config(dev, 0, after, sizeof(after)));
		EXPECT_EQ(!!values[i], after[WCE]);
		after[WCE] = before[WCE];
		EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
		/* and one byte of it, as Linux does */
		ASSERT_EQ(0, vv_set_config(dev, WCE, &values[i], 1));
		ASSERT_EQ(0, vv_get_config(dev, WCE, after, 1));
		EXPECT_EQ(!!values[i], after[0]);
	}
	/* beside it, up to it, behind it */
	ASSERT_EQ(0, vv_set_config(dev, 0, junk, WCE));
	ASSERT_EQ(0, vv_set_config(dev, WCE + 1, junk, 96 - WCE - 1));
	ASSERT_EQ(0, vv_get_config(dev, 0, after, sizeof(after)));
	EXPECT_EQ(1, after[WCE]);
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(wce_is_fixed_unless_negotiated)
{
	__u8 zero = 0, wce = 0xee;
	char junk[96] = {};

	ASSERT_EQ(0, vv_start(&self->dev,
			      self->dev.offered & ~F(CONFIG_WCE), 1, 256));
	ASSERT_EQ(0, vv_set_config(&self->dev, WCE, &zero, 1));
	ASSERT_EQ(0, vv_set_config(&self->dev, 0, junk, sizeof(junk)));
	ASSERT_EQ(0, vv_get_config(&self->dev, WCE, &wce, 1));
	EXPECT_EQ(1, wce);
}

VV_TEST(config_access_outside_is_refused)
{
	char buf[200] = {};

	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 97, buf, 1));
	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 0, buf, 97));
	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 96, buf, 1));
	EXPECT_EQ(-EINVAL, vv_get_config(&self->dev, 0xffffffff, buf, 1));
	EXPECT_EQ(-EINVAL, vv_set_config(&self->dev, 90, buf, 7));
	EXPECT_EQ(-EINVAL, vv_set_config(&self->dev, 0xfffffff0, buf, 32));
	EXPECT_EQ(0, vv_get_config(&self->dev, 95, buf, 1));
}

VV_TEST(features_ok_needs_version_1_and_access_platform)
{
	static const __u64 lacking[] = {
		0, VV_BIT(VIRTIO_F_VERSION_1), VV_BIT(VIRTIO_F_ACCESS_PLATFORM),
		~VV_F_BASE, ~VV_BIT(VIRTIO_F_VERSION_1),
	};
	struct vv_dev *dev = &self->dev;
	int status;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lacking); i++) {
		ASSERT_EQ(0, vv_reset(dev));
		ASSERT_EQ(0, vv_set_status(dev, VV_S_ACK | VV_S_DRIVER));
		vv_set_features(dev, lacking[i]);
		vv_set_status(dev, VV_S_LIVE & ~VV_S_DRIVER_OK);
		EXPECT_EQ(VV_S_ACK | VV_S_DRIVER, vv_get_status(dev))
			TH_LOG("features 0x%llx",
			       (unsigned long long)lacking[i]);
		vv_set_status(dev, VV_S_LIVE);
		status = vv_get_status(dev);
		EXPECT_EQ(0, status & (VV_S_FEATURES_OK | VV_S_DRIVER_OK));
	}
	ASSERT_EQ(0, vv_reset(dev));
	START();
	EXPECT_EQ(0, vv_good_client(&dev->vq[0], 1));
}

VV_TEST(unknown_features_are_masked)
{
	struct vv_queue *q = &self->dev.vq[0];
	char id[20];
	char *buf = vv_alloc(&self->dev, VV_PAGE);

	/* with the ring as the device understands the offered bits */
	ASSERT_EQ(0, vv_start(&self->dev, ~0ULL, 1, 256));
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	EXPECT_EQ(0, vv_good_client(q, 1));
	memset(id, 0, sizeof(id));
	EXPECT_EQ(S_OK, vv_blk(q, T_GET_ID, 0, buf, 20));
	/* Bound to the handshake: too late now. */
	EXPECT_EQ(-EBUSY, vv_set_features(&self->dev, VV_F_BASE));
}

VV_TEST(status_jumps_are_survived)
{
	static const __u8 jumps[] = {
		0xff, VV_S_DRIVER_OK, 0x80, VV_S_NEEDS_RESET, 0x30, 0x7f,
		VV_S_FEATURES_OK, VV_S_FEATURES_OK | VV_S_DRIVER_OK,
	};
	struct vv_dev *dev = &self->dev;
	struct vv_queue *q = &dev->vq[0];
	size_t i;

	START();
	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		ASSERT_EQ(0, vv_reset(dev));
		vv_set_status(dev, jumps[i]);
		vv_kick_always(q);
		ASSERT_EQ(0, vv_reset(dev));
		EXPECT_EQ(0, vv_get_status(dev));
		ASSERT_EQ(0, vv_queue_setup(q, 256, 0));
		ASSERT_EQ(0, vv_set_enable(q, true));
		vv_set_status(dev, jumps[i]);
		vv_kick_always(q);
		STILL_SERVES();
		/* Bits do not go away one by one. */
		EXPECT_EQ(-EINVAL, vv_set_status(dev, VV_S_ACK));
		EXPECT_EQ(0, vv_good_client(q, i));
	}
}

VV_TEST(driver_ok_without_any_queue)
{
	START();
	ASSERT_EQ(0, vv_reset(&self->dev));
	ASSERT_EQ(0, vv_restart(&self->dev, self->dev.offered, 0, 0));
	vv_kick_always(&self->dev.vq[0]);
	EXPECT_EQ(VV_S_LIVE, vv_get_status(&self->dev));
	STILL_SERVES();
}

TEST_HARNESS_MAIN
